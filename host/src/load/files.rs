//! A model's files: the artifact that is opened, the directory that it is unpacked into, the
//! component in it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::unpack::{self, COMPONENT_FILE, UnpackError, UnpackLimits, write_error};
use super::{LoadError, internal};
use crate::workspace::Workspace;
use crate::workspace::disk::Reservation;

/// The largest component, in bytes. One made from Python has about 20 MB.
pub(super) const COMPONENT_LIMIT: u64 = 64 << 20;

/// Folders that are looked into for what should lie at the top.
const FOLDERS: usize = 16;

/// A model's directory.
pub(super) struct ModelFiles {
    pub(super) path: PathBuf,
    /// The digest of the artifact, if it was unpacked for the model.
    pub(super) digest: Option<[u8; 32]>,
    /// If it was unpacked for the model, and not somebody else's.
    unpacked: Option<Unpacked>,
    ended: Option<watch::Sender<()>>,
}

/// A directory with what it takes of the disk budget, given back when the directory is gone.
pub(super) struct Unpacked {
    dir: TempDir,
    room: Reservation,
}

impl ModelFiles {
    /// Somebody else's directory.
    pub(super) fn foreign(path: PathBuf) -> Self {
        Self::new(path, None, None)
    }

    fn new(path: PathBuf, digest: Option<[u8; 32]>, unpacked: Option<Unpacked>) -> Self {
        Self {
            path,
            digest,
            unpacked,
            ended: Some(watch::Sender::new(())),
        }
    }

    /// Bytes that they hold of the disk budget.
    pub(super) fn bytes(&self) -> u64 {
        let unpacked = self.unpacked.as_ref();
        unpacked.map_or(0, |unpacked| unpacked.room.bytes())
    }

    /// Closes when the files are gone.
    pub(super) fn ended(&self) -> watch::Receiver<()> {
        match &self.ended {
            Some(sender) => sender.subscribe(),
            None => watch::channel(()).1,
        }
    }
}

impl Drop for ModelFiles {
    /// Removing thousands of files takes a while, which must not be the time of a thread that serves
    /// requests.
    fn drop(&mut self) {
        let (unpacked, ended) = (self.unpacked.take(), self.ended.take());
        if let (Some(unpacked), Ok(runtime)) = (unpacked, Handle::try_current()) {
            runtime.spawn_blocking(move || {
                drop(unpacked);
                drop(ended);
            });
        }
    }
}

/// Opens a regular file; anything else is [`io::ErrorKind::InvalidInput`]. Opening a FIFO, for one,
/// would otherwise wait for ever.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    Ok(file)
}

/// Looks through a directory that somebody else unpacked for what no archive of ours would become: to
/// open a FIFO waits for ever, and with it a thread of the host.
///
/// # Errors
///
/// [`LoadError::InvalidArtifact`] if there is anything but files, folders and links, or more than
/// `entries` of them.
pub(super) fn check_foreign(dir: &Path, entries: usize) -> Result<(), LoadError> {
    let unreadable = |e: io::Error| {
        LoadError::InvalidArtifact(format!(
            "the model's directory cannot be read: {}",
            e.kind()
        ))
    };
    let mut folders = vec![dir.to_owned()];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let kind = entry.file_type().map_err(unreadable)?;
            seen += 1;
            if seen > entries {
                return Err(LoadError::InvalidArtifact(format!(
                    "the model's directory has more than {entries} files (--max-files)"
                )));
            }
            if kind.is_dir() {
                folders.push(entry.path());
            } else if !kind.is_file() && !kind.is_symlink() {
                return Err(LoadError::InvalidArtifact(format!(
                    "{} in the model's directory is not a regular file, folder or link",
                    crate::sandbox::printable(&shown(&entry.path()))
                )));
            }
        }
    }
    Ok(())
}

/// Opens an archive that lies on this machine.
pub(super) fn open_archive(archive: &Path) -> Result<File, LoadError> {
    open_regular(archive).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => LoadError::NotFound(shown(archive)),
        io::ErrorKind::InvalidInput => {
            LoadError::InvalidArtifact(format!("{} is not a regular file", shown(archive)))
        }
        kind => LoadError::Internal(format!("{} cannot be opened: {kind}", shown(archive))),
    })
}

/// Unpacks an artifact into a directory of its own.
pub(super) fn unpack_into(
    workspace: &Workspace,
    archive: File,
    limits: &UnpackLimits,
) -> Result<ModelFiles, LoadError> {
    let storage = |error: UnpackError| LoadError::Storage(error.to_string());
    let room = workspace.disk().reserve(0).map_err(LoadError::DiskFull)?;
    // The kind alone, because the text names the host's path.
    let dir = workspace
        .new_model_dir()
        .map_err(|e| storage(write_error(e.kind().into())))?;
    let mut unpacked = Unpacked { dir, room };
    let path = unpacked.dir.path().to_owned();
    let (digest, before) = (digest(&archive).map_err(internal)?, stamp(&archive)?);
    let same = archive.try_clone().map_err(internal)?;
    unpack::unpack(archive, &path, limits, &mut unpacked.room).map_err(|error| match error {
        UnpackError::NoRoom(full) => LoadError::DiskFull(full),
        UnpackError::Storage(_) => storage(error),
        _ => LoadError::InvalidArtifact(error.to_string()),
    })?;
    // Of a file that somebody wrote to meanwhile, nobody knows what was unpacked.
    let digest = (stamp(&same)? == before).then_some(digest);
    Ok(ModelFiles::new(path, digest, Some(unpacked)))
}

/// What changes when a file is written to.
fn stamp(file: &File) -> Result<(u64, Option<SystemTime>), LoadError> {
    let metadata = file.metadata().map_err(internal)?;
    Ok((metadata.len(), metadata.modified().ok()))
}

/// The digest of a file, which is read from its beginning and left there.
fn digest(mut file: &File) -> io::Result<[u8; 32]> {
    let mut digest = Sha256::new();
    file.rewind()?;
    io::copy(&mut file, &mut digest)?;
    file.rewind()?;
    Ok(digest.finalize().into())
}

/// Opens the component. None if there is none: the artifact carries data only.
///
/// # Errors
///
/// [`LoadError::InvalidArtifact`] says what is wrong with it.
pub(super) fn open_component(dir: &Path) -> Result<Option<File>, LoadError> {
    let path = dir.join(COMPONENT_FILE);
    let Ok(metadata) = std::fs::symlink_metadata(&path) else {
        return Ok(None);
    };
    if !metadata.is_file() {
        return Err(LoadError::InvalidArtifact(format!(
            "{COMPONENT_FILE} is not a regular file"
        )));
    }
    if metadata.len() > COMPONENT_LIMIT {
        return Err(LoadError::InvalidArtifact(format!(
            "{COMPONENT_FILE} is larger than {}",
            bytesize::ByteSize(COMPONENT_LIMIT)
        )));
    }
    File::open(&path).map(Some).map_err(unreadable)
}

/// The component's bytes. None if there is none.
///
/// # Errors
///
/// [`LoadError::InvalidArtifact`] says what is wrong with it.
pub fn read_component(dir: &Path) -> Result<Option<Vec<u8>>, LoadError> {
    let file = open_component(dir)?;
    file.map(|mut file| read_all(&mut file)).transpose()
}

/// A component's bytes, from its beginning.
pub(super) fn read_all(component: &mut File) -> Result<Vec<u8>, LoadError> {
    let mut bytes = Vec::new();
    component
        .rewind()
        .and_then(|()| component.take(COMPONENT_LIMIT).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    Ok(bytes)
}

fn unreadable(error: io::Error) -> LoadError {
    LoadError::InvalidArtifact(format!("{COMPONENT_FILE} cannot be read: {}", error.kind()))
}

/// Says that there is no component, and where it is if it is one folder too deep, the most common mistake in
/// packing; or a model without code, as `is_model` sees it.
pub(super) fn no_component(dir: &Path, is_model: impl Fn(&Path) -> bool) -> String {
    let mut text = format!("the artifact has no {COMPONENT_FILE} at its top");
    let folders = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let folders = folders.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let deeper = folders.take(FOLDERS).find_map(|folder| {
        let path = folder.path();
        let name = crate::sandbox::printable(&folder.file_name().to_string_lossy());
        if path.join(COMPONENT_FILE).is_file() {
            return Some((format!("{name}/{COMPONENT_FILE}"), name));
        }
        is_model(&path).then(|| (format!("a model in {name}/"), name))
    });
    if let Some((found, name)) = deeper {
        text.push_str(&format!(
            " but has {found}: pack the folder's content, not the folder (tar -C {name} -czf \
             NAME.tar.gz .)"
        ));
    }
    text
}

/// A file's own name: paths of the host are not for callers.
fn shown(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}
