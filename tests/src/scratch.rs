// SPDX-License-Identifier: GPL-3.0-or-later
//! A temporary folder on a leash: it and the processes started in it end with us.
//!
//! Design note: a destructor does not run in a process that was killed. So each folder has a keeper, a small shell whose
//! standard input is a pipe that only we hold. When the pipe ends, whether we closed it or died, the keeper stops the
//! process groups it was told of, then whatever still carries the folder's mark in its environment, takes its disks down
//! and removes the folder.

use std::{
    fs,
    io::Write,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

/// A temporary folder; the last clone that is dropped removes it.
#[derive(Clone)]
pub struct Scratch {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    mark: String,
    keeper: Mutex<Keeper>,
}

struct Keeper {
    child: Child,
    orders: Option<ChildStdin>,
}

impl Scratch {
    /// Makes a folder that every user may pass through, because servers run as users of their own.
    pub fn new(name: &str) -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        // Short: the path of a UNIX socket ends after 107 octets.
        let path = std::env::temp_dir().join(format!("ft-{name}-{}-{number}", std::process::id()));
        let mark = format!("FAIRTRACK_SCRATCH={}", path.display());
        fs::create_dir(&path).unwrap_or_else(|error| {
            panic!("failed to make folder \"{}\": {error}", path.display())
        });
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();

        let mut child = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(&path)
            .arg(&mark)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Out of reach of Ctrl-C, which goes to the whole group of the foreground.
            .process_group(0)
            .spawn()
            .unwrap();
        let orders = child.stdin.take();
        Self {
            inner: Arc::new(Inner {
                path,
                mark,
                keeper: Mutex::new(Keeper { child, orders }),
            }),
        }
    }

    /// Returns the folder.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Makes a folder within, owned by a user of the system if we may give it away.
    pub fn folder(&self, name: &str, owner: Option<&str>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(&path).unwrap();
        if let Some(owner) = owner {
            give_to(&path, owner);
        }
        path
    }

    /// Makes a folder within that is a disk of its own, of so many MiB; `None` where we may not.
    pub fn small_disk(&self, name: &str, size: u32) -> Option<PathBuf> {
        if !is_root() {
            return None;
        }
        let path = self.folder(name, None);
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={size}m,mode=755"),
                "fairtrack",
            ])
            .arg(&path)
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if mounted {
            self.order(&format!("disk {}\n", path.display()));
        }
        mounted.then_some(path)
    }

    /// Writes a file within and returns its path.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).unwrap();
        }
        fs::write(&path, contents).unwrap();
        path
    }

    /// Marks a command, so that the keeper finds its process and all that descend from it.
    pub(crate) fn mark(&self, command: &mut Command) {
        let (name, value) = self.inner.mark.split_once('=').unwrap();
        command.env(name, value);
    }

    /// Tells the keeper of a process group, and of the signal that ends it in good order.
    pub(crate) fn hold(&self, group: u32, signal: &str) {
        self.order(&format!("hold {group} {signal}\n"));
    }

    /// Tells the keeper that a process group is no more.
    pub(crate) fn free(&self, group: u32) {
        self.order(&format!("free {group}\n"));
    }

    fn order(&self, line: &str) {
        let mut keeper = self.inner.keeper.lock().unwrap();
        if let Some(orders) = &mut keeper.orders {
            orders.write_all(line.as_bytes()).unwrap();
        }
    }
}

/// Gives a file or folder to a user of the system. Without root's rights everything is ours anyway.
pub fn give_to(path: &Path, owner: &str) {
    if !is_root() {
        return;
    }
    let status = Command::new("chown").arg(owner).arg(path).status().unwrap();
    assert!(
        status.success(),
        "failed to give \"{}\" to \"{owner}\"",
        path.display()
    );
}

/// Tells whether we have root's rights.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

impl Drop for Inner {
    fn drop(&mut self) {
        let keeper = self.keeper.get_mut().unwrap();
        drop(keeper.orders.take());
        let _ = keeper.child.wait();
    }
}

const KEEPER: &str = r#"
trap '' INT TERM HUP
folder=$1 mark=$2 held= disks=
while read -r verb group signal; do
    case $verb in
        disk) disks="$disks $group" ;;
        hold) held="$held $group:$signal" ;;
        free)
            rest=
            for entry in $held; do
                [ "${entry%%:*}" = "$group" ] || rest="$rest $entry"
            done
            held=$rest
            ;;
    esac
done
for entry in $held; do
    kill -s "${entry#*:}" -- "-${entry%%:*}"
    kill -s CONT -- "-${entry%%:*}"
done
rounds=0
while [ "$rounds" -lt 50 ]; do
    alive=
    for entry in $held; do
        kill -s 0 -- "-${entry%%:*}" && alive=yes
    done
    [ -n "$alive" ] || break
    sleep 0.1
    rounds=$((rounds + 1))
done
for entry in $held; do
    kill -s KILL -- "-${entry%%:*}"
done
rounds=0
while [ "$rounds" -lt 20 ]; do
    left=$(grep -lzxF -e "$mark" /proc/[0-9]*/environ | cut -d/ -f3)
    [ -n "$left" ] || break
    kill -s KILL $left
    sleep 0.1
    rounds=$((rounds + 1))
done
for disk in $disks; do
    umount -- "$disk" || umount -l -- "$disk"
done
rounds=0
until rm -rf -- "$folder" || [ "$rounds" -ge 20 ]; do
    sleep 0.1
    rounds=$((rounds + 1))
done
"#;
