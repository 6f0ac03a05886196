//! The actions that a rewritten workflow uses, each by the commit that its tag named.
//!
//! Checked on 2026-11-24: the workflows of pypa/pip, pypa/twine and pypa/cibuildwheel name these commits and versions together,
//! and download-artifact's is the commit of the tag in the action's own repository. A pin that nobody renews gets old: these
//! move with our releases, and the comment beside them lets update bots move them between.

/// An action at a commit.
pub(super) struct Pin {
    /// `owner/name`.
    pub(super) name: &'static str,
    commit: &'static str,
    version: &'static str,
}

impl Pin {
    /// `owner/name@commit # version`, as it stands after `uses: `.
    pub(super) fn reference(&self) -> String {
        format!("{}@{} # {}", self.name, self.commit, self.version)
    }

    /// Without the comment.
    pub(super) fn plain(&self) -> String {
        format!("{}@{}", self.name, self.commit)
    }
}

/// Uploads what it finds, with the job's identity.
pub(super) const PUBLISH: Pin = Pin {
    name: "pypa/gh-action-pypi-publish",
    commit: "dc37677b2e1c63e2034f94d8a5b11f265b73ba33",
    version: "v1.14.2",
};

/// Keeps what a job built.
pub(super) const UPLOAD: Pin = Pin {
    name: "actions/upload-artifact",
    commit: "043fb46d1a93c77aae656e7c1c64a875d1fc6a0a",
    version: "v7.0.1",
};

/// Gets what another job built.
pub(super) const DOWNLOAD: Pin = Pin {
    name: "actions/download-artifact",
    commit: "3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c",
    version: "v8.0.1",
};

/// Fetches the repository.
pub(super) const CHECKOUT: Pin =
    Pin { name: "actions/checkout", commit: "3d3c42e5aac5ba805825da76410c181273ba90b1", version: "v7.0.1" };

/// Installs Python.
pub(super) const SETUP_PYTHON: Pin = Pin {
    name: "actions/setup-python",
    commit: "5fda3b95a4ea91299a34e894583c3862153e4b97",
    version: "v7.0.0",
};
