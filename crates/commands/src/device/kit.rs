//! The folder that a device gets: certificate, keys, CA, a sample program. Nothing is ever overwritten.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::DeviceProblem;
use ready::write_secret;

/// Where the files of one device go.
#[derive(Clone, Debug)]
pub struct Kit {
    folder: PathBuf,
    /// Certificate, PEM.
    pub certificate: PathBuf,
    /// Private key, PEM.
    pub private_key: PathBuf,
    /// Public key, PEM.
    pub public_key: PathBuf,
    /// The CA that the device must trust, PEM.
    pub root_ca: PathBuf,
    /// A sample program for the AWS IoT Device SDK for Python.
    pub sample: PathBuf,
    /// The policy document, to change and upload again.
    pub policy: PathBuf,
    /// What exists because of us.
    written: Vec<PathBuf>,
    made_folder: bool,
}

impl Kit {
    /// Makes the folder and checks that none of the files is there.
    pub fn prepare(folder: &Path, name: &str) -> Result<Self, DeviceProblem> {
        let made_folder = !folder.exists();
        fs::create_dir_all(folder)
            .map_err(|error| DeviceProblem::new(format!("{}: cannot be made: {error}", folder.display())))?;
        let kit = Self {
            certificate: folder.join(format!("{name}.cert.pem")),
            private_key: folder.join(format!("{name}.private.key")),
            public_key: folder.join(format!("{name}.public.key")),
            root_ca: folder.join("root-CA.crt"),
            sample: folder.join(format!("{name}.py")),
            policy: folder.join(format!("{name}.policy.json")),
            folder: folder.to_owned(),
            written: Vec::new(),
            made_folder,
        };
        let taken = kit.own_files().into_iter().find(|path| path.exists()).cloned();
        match taken {
            None => Ok(kit),
            Some(path) => Err(DeviceProblem::new(format!(
                "{} exists: nothing is overwritten; choose another folder with --out",
                path.display()
            ))),
        }
    }

    /// Writes one file, 0600.
    pub fn write(&mut self, path: &Path, content: &[u8]) -> Result<(), DeviceProblem> {
        write_secret(path, content).map_err(|error| problem(path, &error))?;
        self.written.push(path.to_owned());
        Ok(())
    }

    /// Copies the CA's certificate, unless an equal one is there from another device.
    pub fn copy_ca(&mut self, from: &Path) -> Result<(), DeviceProblem> {
        let content = fs::read(from).map_err(|error| problem(from, &error))?;
        if fs::read(&self.root_ca).is_ok_and(|found| found == content) {
            return Ok(());
        }
        if self.root_ca.exists() {
            return Err(DeviceProblem::new(format!(
                "{} is another server's CA: choose another folder with --out",
                self.root_ca.display()
            )));
        }
        self.write(&self.root_ca.clone(), &content)
    }

    /// Removes what this run wrote.
    pub fn remove(&self) {
        for path in &self.written {
            let _ = fs::remove_file(path);
        }
        if self.made_folder {
            let _ = fs::remove_dir(&self.folder);
        }
    }

    fn own_files(&self) -> [&PathBuf; 5] {
        [&self.certificate, &self.private_key, &self.public_key, &self.sample, &self.policy]
    }
}

fn problem(path: &Path, error: &io::Error) -> DeviceProblem {
    DeviceProblem::new(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_overwritten_and_failures_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("lamp");
        let mut kit = Kit::prepare(&out, "lamp").unwrap();
        kit.write(&kit.private_key.clone(), b"key").unwrap();
        assert!(Kit::prepare(&out, "lamp").unwrap_err().to_string().contains("--out"));
        assert!(Kit::prepare(&out, "other").is_ok());
        kit.remove();
        assert!(!out.exists());
    }

    #[cfg(unix)]
    #[test]
    fn keys_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mut kit = Kit::prepare(folder.path(), "lamp").unwrap();
        kit.write(&kit.private_key.clone(), b"key").unwrap();
        assert_eq!(fs::metadata(&kit.private_key).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
