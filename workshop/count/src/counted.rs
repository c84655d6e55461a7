//! Counting: this program under valgrind, twice, with fewer and with more turns. The difference is the turns' own.

use std::process::Command;

use crate::work::Work;

const FEW: u64 = 500;
const MANY: u64 = 1_500;

/// Instructions of one turn of a work.
///
/// # Errors
/// valgrind is not there, or says something else than a count.
pub fn count(work: Work) -> Result<f64, String> {
    let (few, many) = (collected(work, FEW)?, collected(work, MANY)?);
    Ok((many.saturating_sub(few)) as f64 / (MANY - FEW) as f64)
}

fn collected(work: Work, turns: u64) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| format!("this program: {error}"))?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["run", work.name(), &turns.to_string()])
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("valgrind: {}: {said}", output.status));
    }
    read(&said).ok_or_else(|| format!("valgrind said no count: {said}"))
}

/// The number behind `Collected :`.
fn read(said: &str) -> Option<u64> {
    let line = said.lines().find(|line| line.contains("Collected"))?;
    line.rsplit_once(':')?.1.trim().parse().ok()
}

/// The compiler, by its version.
///
/// # Errors
/// rustc is not there.
pub fn compiler() -> Result<String, String> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().map_err(|error| format!("rustc: {error}"))?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(format!("{version} for {}", std::env::consts::ARCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found_in_what_valgrind_says() {
        assert_eq!(read("==1== Events    : Ir\n==1== Collected : 8675309\n"), Some(8_675_309));
        assert_eq!(read("==1== nothing"), None);
    }
}
