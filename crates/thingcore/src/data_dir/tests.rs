//! First start, second start, and what must not happen.

use super::*;
use crate::cli::ServeArgs;
use crate::config::ConfigFile;

fn settings(folder: &Path, change: impl FnOnce(&mut Settings)) -> Settings {
    let args = ServeArgs { data_dir: Some(folder.join("data")), ..ServeArgs::default() };
    let mut settings = Settings::merge(args, ConfigFile::default()).unwrap();
    change(&mut settings);
    settings
}

fn problem(settings: &Settings) -> String {
    match DataDir::open(settings) {
        Ok(_) => panic!("opened"),
        Err(problem) => problem.to_string(),
    }
}

#[test]
fn a_second_start_reuses_everything() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), |_| {});
    let first = DataDir::open(&settings).unwrap();
    assert!(first.first_start);
    let (account, key, ca) =
        (first.account.clone(), first.api_key.clone(), first.authority.certificate_pem());
    let chain = first.server.chain.clone();
    assert!(first.server.ends() > Some(first.authority.certificate().facts().not_before));
    drop(first);
    let second = DataDir::open(&settings).unwrap();
    assert!(!second.first_start);
    assert_eq!(second.account, account);
    assert_eq!(second.api_key, key);
    assert_eq!(second.authority.certificate_pem(), ca);
    assert_eq!(second.server.chain, chain);
}

#[test]
fn another_name_makes_another_server_certificate_of_the_same_ca() {
    let folder = tempfile::tempdir().unwrap();
    let first = DataDir::open(&settings(folder.path(), |_| {})).unwrap();
    let (ca, chain) = (first.authority.certificate_pem(), first.server.chain.clone());
    drop(first);
    let more = settings(folder.path(), |settings| settings.server_names.push("Gate.example".into()));
    let second = DataDir::open(&more).unwrap();
    assert_eq!(second.authority.certificate_pem(), ca);
    assert_ne!(second.server.chain, chain);
    assert!(second.server.chain.ends_with(&ca));
}

#[cfg(unix)]
#[test]
fn nothing_is_readable_for_others() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let data = DataDir::open(&settings(folder.path(), |_| {})).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data.path), 0o700);
    let mut files = 0;
    for entry in fs::read_dir(&data.path).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        files += 1;
    }
    assert_eq!(files, 7, "lock, account, key pair, session key, CA certificate and key, server certificate");
}

#[cfg(unix)]
#[test]
fn a_folder_that_others_could_read_is_made_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), |settings| settings.data_dir.push("deep/er"));
    fs::create_dir_all(&settings.data_dir).unwrap();
    fs::set_permissions(&settings.data_dir, fs::Permissions::from_mode(0o775)).unwrap();
    drop(DataDir::open(&settings).unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&settings.data_dir), 0o700);
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_made_private_is_refused() {
    // Nobody, not even root, may change the modes of the kernel's own.
    let problem = make_private(Path::new("/proc/self/task")).unwrap_err().to_string();
    assert!(problem.contains("cannot be made private") && problem.contains("--data-dir"), "{problem}");
}

#[test]
fn folders_are_made_as_deep_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a/b/c");
    make_folder(&deep).unwrap();
    make_folder(&deep).unwrap();
    assert!(deep.is_dir());
}

#[test]
fn two_servers_cannot_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), |_| {});
    assert!(!ready::is_held(&settings.data_dir));
    let _first = DataDir::open(&settings).unwrap();
    assert!(ready::is_held(&settings.data_dir));
    assert!(problem(&settings).contains("another thingcore is running"));
}

#[test]
fn the_account_of_a_folder_does_not_change() {
    let folder = tempfile::tempdir().unwrap();
    let chosen = |region: &'static str| {
        settings(folder.path(), move |settings| settings.region = Some(region.parse().unwrap()))
    };
    assert_eq!(DataDir::open(&chosen("eu-west-1")).unwrap().account.region.as_str(), "eu-west-1");
    assert!(problem(&chosen("eu-west-2")).contains("eu-west-1"));
    assert_eq!(
        DataDir::open(&settings(folder.path(), |_| {})).unwrap().account.region.as_str(),
        "eu-west-1",
        "a start that names no Region takes the folder's"
    );
}

#[test]
fn damage_is_named_and_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), |_| {});
    drop(DataDir::open(&settings).unwrap());
    fs::remove_file(settings.data_dir.join("ca.key.pem")).unwrap();
    assert!(problem(&settings).contains("ca.key.pem"));
    assert!(!settings.data_dir.join("ca.key.pem").exists());
    fs::write(settings.data_dir.join("account.json"), "{").unwrap();
    assert!(problem(&settings).contains("account.json"));
}

#[test]
fn generated_keys_look_like_awss() {
    let folder = tempfile::tempdir().unwrap();
    let data = DataDir::open(&settings(folder.path(), |_| {})).unwrap();
    assert!(data.api_key.id.starts_with("AKIA") && data.api_key.id.len() == 20);
    assert_eq!(data.api_key.secret.len(), 40);
    assert_eq!(data.account.account.as_str().len(), 12);
}
