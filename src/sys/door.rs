//! Sockets with a place in a directory, over which processes that are not related hand each other descriptors.
//!
//! Packets are kept apart, and nothing here waits.

use std::fs;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use nix::fcntl::{OFlag, open};
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr,
    accept4, bind, connect, getsockopt, listen, recvmsg, sendmsg, socket, sockopt,
};
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat};

/// How many descriptors come with one packet at most.
const MOST_DESCRIPTORS: usize = 4;

/// Who is at the other end of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The process that connected, as this pid namespace has it; 0 if it has it not.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
}

fn new_socket() -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    Ok(socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?)
}

/// Opens a door at `path`, in place of one that may be there. It is made under the name `begun` in the same directory
/// first: the name of a socket may only be short when it is made.
///
/// # Errors
/// What the system says.
pub fn open_door(path: &Path, begun: &str) -> io::Result<OwnedFd> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let handle = open(directory, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    let short = format!("/proc/self/fd/{}/{begun}", handle.as_raw_fd());
    let door = new_socket()?;
    let _ = fs::remove_file(&short);
    bind(door.as_raw_fd(), &UnixAddr::new(short.as_str())?)?;
    fchmodat(&handle, begun, Mode::S_IRUSR | Mode::S_IWUSR, FchmodatFlags::FollowSymlink)?;
    listen(&door, Backlog::new(16)?)?;
    fs::rename(&short, path)?;
    Ok(door)
}

/// Goes to the door at `path`. `trusts` says whether whose it is can be trusted.
///
/// # Errors
/// There is none, nobody is behind it, or it is no door.
pub fn knock(path: &Path, trusts: impl Fn(u32) -> bool) -> io::Result<OwnedFd> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let handle = open(path, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())?;
    let meta = fs::File::from(handle.try_clone()?).metadata()?;
    if !meta.file_type().is_socket() || !trusts(meta.uid()) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a socket of the task's owner"));
    }
    let way = new_socket()?;
    // By the handle: the name may be too long for a socket's address.
    connect(way.as_raw_fd(), &UnixAddr::new(format!("/proc/self/fd/{}", handle.as_raw_fd()).as_str())?)?;
    Ok(way)
}

/// Lets in whoever is at the door; `None` if nobody is.
#[must_use]
pub fn let_in(door: BorrowedFd<'_>) -> Option<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let way = accept4(door.as_raw_fd(), flags).ok()?;
    // SAFETY: a new descriptor that nobody else owns.
    Some(unsafe { OwnedFd::from_raw_fd(way) })
}

/// Who is at the other end.
///
/// # Errors
/// What the system says.
pub fn peer(way: impl AsFd) -> io::Result<Peer> {
    let credentials = getsockopt(&way.as_fd(), sockopt::PeerCredentials)?;
    Ok(Peer { pid: credentials.pid(), uid: credentials.uid() })
}

/// Sends a packet, and copies of descriptors with it.
///
/// # Errors
/// The other side is gone, or does not listen.
pub fn hand_over(way: BorrowedFd<'_>, packet: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let numbers: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let control = [ControlMessage::ScmRights(&numbers)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    sendmsg::<UnixAddr>(way.as_raw_fd(), &[IoSlice::new(packet)], &control, flags, None)?;
    Ok(())
}

/// The next packet, with the descriptors that came with it.
///
/// # Errors
/// `WouldBlock` if none has come yet; the other side is gone.
pub fn receive(way: BorrowedFd<'_>, most: usize) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut packet = vec![0; most];
    let mut space = nix::cmsg_space!([RawFd; MOST_DESCRIPTORS]);
    let (length, descriptors) = {
        let mut parts = [IoSliceMut::new(&mut packet)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<UnixAddr>(way.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
        let mut descriptors = Vec::new();
        for control in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(numbers) = control {
                // SAFETY: new descriptors that nobody else owns.
                descriptors.extend(numbers.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
            }
        }
        (message.bytes, descriptors)
    };
    packet.truncate(length);
    Ok((packet, descriptors))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn descriptors_come_through_a_door_with_a_long_name() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join(format!(".{}.attach", "x".repeat(128)));
        let everybody = |_: u32| true;
        assert!(knock(&path, everybody).is_err());
        drop(open_door(&path, "begun")?);
        assert!(knock(&path, everybody).is_err(), "nobody is behind it");
        let door = open_door(&path, "begun")?;
        assert!(let_in(door.as_fd()).is_none());
        assert!(knock(&path, |_| false).is_err());
        let way = knock(&path, everybody)?;
        let inside = let_in(door.as_fd()).ok_or(io::ErrorKind::NotFound)?;
        let me = std::process::id().cast_signed();
        assert_eq!(peer(&inside)?, Peer { pid: me, uid: nix::unistd::getuid().as_raw() });
        assert_eq!(
            receive(inside.as_fd(), 16).err().map(|error| error.kind()),
            Some(io::ErrorKind::WouldBlock)
        );
        let (mut read, write) = io::pipe()?;
        hand_over(way.as_fd(), b"here", &[write.as_fd()])?;
        drop(write);
        let (packet, mut descriptors) = receive(inside.as_fd(), 16)?;
        assert_eq!((&packet[..], descriptors.len()), (&b"here"[..], 1));
        fs::File::from(descriptors.remove(0)).write_all(b"it came")?;
        let mut text = String::new();
        read.read_to_string(&mut text)?;
        assert_eq!(text, "it came");
        assert_eq!(fs::read_dir(dir.path())?.count(), 1);
        Ok(())
    }
}
