//! Paths on both sides: `~` means a home directory only at the start, and nothing else is ever replaced.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// The home directory of every VPU's user.
pub const REMOTE_HOME: &str = "/home/oem";

/// An absolute path on the device. `~` at the start stands for `/home/oem`, and a relative path is below it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemotePath {
    path: String,
    slash: bool,
}

/// A path that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The path is empty.
    #[error("the path is empty")]
    Empty,
    /// NUL ends a path on every system.
    #[error("the path holds a NUL character")]
    Nul,
}

impl RemotePath {
    /// Reads a path as a user writes it.
    ///
    /// # Errors
    /// An empty path, and one with NUL.
    pub fn new(text: &str) -> Result<Self, PathError> {
        if text.is_empty() {
            return Err(PathError::Empty);
        }
        if text.contains('\0') {
            return Err(PathError::Nul);
        }
        let absolute = match text.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{REMOTE_HOME}{rest}"),
            _ if text.starts_with('/') => text.to_owned(),
            _ => format!("{REMOTE_HOME}/{text}"),
        };
        let parts: Vec<_> = absolute.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        Ok(Self { path: format!("/{}", parts.join("/")), slash: text.ends_with('/') })
    }

    /// Returns the absolute path, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.path
    }

    /// Returns whether the path was written with a slash at its end, so that it names a directory that takes the source.
    pub fn is_into(&self) -> bool {
        self.slash
    }

    /// Returns the path of `name` below this one.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        if name.is_empty() {
            return Self { slash: false, ..self.clone() };
        }
        let base = self.path.trim_end_matches('/');
        Self { path: format!("{base}/{}", name.trim_start_matches('/')), slash: false }
    }

    /// Returns the directory that contains the path; that of `/` is `/` itself.
    #[must_use]
    pub fn parent(&self) -> Self {
        let parent = self.path.rsplit_once('/').map_or("", |(parent, _)| parent);
        Self { path: if parent.is_empty() { "/".into() } else { parent.into() }, slash: false }
    }

    /// Returns the directories above the path, the uppermost first, without `/`.
    pub fn above(&self) -> Vec<Self> {
        let slashes = self.path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0);
        slashes.filter_map(|at| Some(Self { path: self.path.get(..at)?.to_owned(), slash: false })).collect()
    }

    /// Returns whether this path is `other` or below it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.path.strip_prefix(other.path.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Returns the last part of the path; empty for `/`.
    pub fn name(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(_, name)| name)
    }
}

impl fmt::Display for RemotePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.path)
    }
}

/// Reads paths on this computer as a user writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalPath;

impl LocalPath {
    /// Resolves a local path: `~` at the start is the user's home directory, and a relative path is below `base`.
    ///
    /// # Errors
    /// An empty path, and one with NUL.
    pub fn resolve(text: &str, base: &Path) -> Result<PathBuf, PathError> {
        if text.is_empty() {
            return Err(PathError::Empty);
        }
        if text.contains('\0') {
            return Err(PathError::Nul);
        }
        let rest = text.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with(['/', std::path::MAIN_SEPARATOR]));
        let path = match (rest, std::env::home_dir()) {
            (Some(rest), Some(home)) => home.join(rest.trim_start_matches(['/', std::path::MAIN_SEPARATOR])),
            _ => base.join(text),
        };
        // On Windows both separators are understood, and one is shown.
        Ok(if cfg!(windows) { path.components().collect() } else { path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(text: &str) -> String {
        RemotePath::new(text).expect("a path").as_str().to_owned()
    }

    #[test]
    fn a_tilde_means_home_only_at_the_start() {
        assert_eq!(remote("~"), "/home/oem");
        assert_eq!(remote("~/share/"), "/home/oem/share");
        assert_eq!(remote("/a/~/b"), "/a/~/b");
        assert_eq!(remote("~root/x"), "/home/oem/~root/x");
        assert_eq!(remote("./share/x~y"), "/home/oem/share/x~y");
        assert_eq!(remote("//a/./b//"), "/a/b");
    }

    #[test]
    fn paths_are_taken_apart_and_put_together() {
        let path = RemotePath::new("~/a/b").expect("a path");
        assert_eq!(path.parent().as_str(), "/home/oem/a");
        assert_eq!(path.name(), "b");
        assert_eq!(path.join("c").as_str(), "/home/oem/a/b/c");
        assert_eq!(path.join(""), path);
        assert_eq!(path.above().iter().map(RemotePath::as_str).collect::<Vec<_>>(), ["/home", "/home/oem", "/home/oem/a"]);
        assert!(
            path.is_within(&path) && path.is_within(&path.parent()) && path.is_within(&RemotePath::new("/").expect("a path"))
        );
        assert!(!path.is_within(&RemotePath::new("/home/oe").expect("a path")) && !path.parent().is_within(&path));
        assert_eq!(RemotePath::new("/").expect("a path").join("c").as_str(), "/c");
        assert_eq!(RemotePath::new("/c").expect("a path").parent().as_str(), "/");
    }

    #[test]
    fn a_local_path_is_below_its_base() {
        assert_eq!(LocalPath::resolve("x/y", Path::new("/base")), Ok(PathBuf::from("/base/x/y")));
        assert_eq!(LocalPath::resolve("", Path::new("/base")), Err(PathError::Empty));
        assert_eq!(LocalPath::resolve("a~b", Path::new("/base")), Ok(PathBuf::from("/base/a~b")));
    }
}
