//! A socket on which programs say how they are, as they tell a service manager by `sd_notify`.
//!
//! Its name is an abstract one: there is no file that could be left behind, be removed or have too long a path, and it is there
//! as long as somebody has the socket. Anybody on the machine may send to such a name, so who did is told with each message,
//! by the kernel. Descriptors that come with a message are closed at once, which is what `BARRIER=1` waits for.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, bind, setsockopt, socket, sockopt::PassCred,
};

/// What all names of such sockets begin with.
pub const NAMES: &str = "@gco-notify-";

/// The longest message: what service managers take.
const LONGEST: usize = 4096;

/// Such a socket.
#[derive(Debug)]
pub struct Mailbox {
    socket: OwnedFd,
    name: String,
}

impl Mailbox {
    /// Makes one, under a name that nobody else has or could have guessed.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn new() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
        setsockopt(&socket, PassCred, &true)?;
        let random = || RandomState::new().build_hasher().finish();
        let name = format!("{NAMES}{:016x}{:016x}", random(), random());
        bind(socket.as_raw_fd(), &UnixAddr::new_abstract(&name.as_bytes()[1..])?)?;
        Ok(Self { socket, name })
    }

    /// Its name, as programs find it in `NOTIFY_SOCKET`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next message and the user that sent it; none if there is none. One that was cut off or whose sender is not known is
    /// empty.
    #[must_use]
    pub fn next(&self) -> Option<(Vec<u8>, Option<u32>)> {
        let mut bytes = vec![0_u8; LONGEST];
        let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        // Room for who sent it and not for descriptors: those the kernel closes.
        let mut room = MaybeUninit::<Credentials>::zeroed();
        // SAFETY: all of it is numbers and pointers, for which zero is valid.
        let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = room.as_mut_ptr().cast();
        header.msg_controllen = size_of::<Credentials>();
        let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
        // SAFETY: what the header points to is as long as it says, and lives until the call is over.
        let length = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut header, flags) };
        let length = usize::try_from(length).ok()?;
        // SAFETY: zeroed or filled in by the kernel; all bit patterns are valid.
        let found = unsafe { room.assume_init() };
        let is_known = header.msg_controllen >= size_of::<libc::cmsghdr>()
            && found.header.cmsg_level == libc::SOL_SOCKET
            && found.header.cmsg_type == libc::SCM_CREDENTIALS;
        let is_whole = header.msg_flags & libc::MSG_TRUNC == 0;
        bytes.truncate(if is_whole && is_known { length } else { 0 });
        Some((bytes, is_known.then_some(found.sender.uid)))
    }
}

impl AsFd for Mailbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A control message that says who sent a message, as the kernel lays it out.
#[repr(C)]
struct Credentials {
    header: libc::cmsghdr,
    sender: libc::ucred,
    /// Messages begin at multiples of a `size_t`.
    padding: [u8; PADDING],
}

const PADDING: usize =
    size_of::<libc::ucred>().next_multiple_of(size_of::<usize>()) - size_of::<libc::ucred>();

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

    fn sender(to: &Mailbox) -> io::Result<UnixDatagram> {
        let sender = UnixDatagram::unbound()?;
        sender.connect_addr(&SocketAddr::from_abstract_name(&to.name()[1..])?)?;
        Ok(sender)
    }

    #[test]
    fn messages_come_with_who_sent_them() -> io::Result<()> {
        let (mailbox, other) = (Mailbox::new()?, Mailbox::new()?);
        assert_ne!(mailbox.name(), other.name());
        assert_eq!(mailbox.next(), None);
        let sender = sender(&mailbox)?;
        sender.send(b"READY=1\nSTATUS=here")?;
        sender.send(b"")?;
        sender.send(&[b'x'; LONGEST + 1])?;
        let me = Some(nix::unistd::getuid().as_raw());
        assert_eq!(mailbox.next(), Some((b"READY=1\nSTATUS=here".to_vec(), me)));
        assert_eq!(mailbox.next(), Some((Vec::new(), me)));
        assert_eq!(mailbox.next(), Some((Vec::new(), me)), "it was cut off");
        assert_eq!(mailbox.next(), None);
        Ok(())
    }

    #[test]
    fn descriptors_are_closed_at_once() -> io::Result<()> {
        let mailbox = Mailbox::new()?;
        let sender = sender(&mailbox)?;
        let (mut read, write) = io::pipe()?;
        let descriptors = [write.as_raw_fd()];
        let control = [ControlMessage::ScmRights(&descriptors)];
        let part = [io::IoSlice::new(b"BARRIER=1")];
        sendmsg::<UnixAddr>(sender.as_raw_fd(), &part, &control, MsgFlags::empty(), None)?;
        drop(write);
        assert_eq!(mailbox.next().map(|(bytes, _)| bytes), Some(b"BARRIER=1".to_vec()));
        assert_eq!(read.read(&mut [0])?, 0, "nobody has the other end");
        Ok(())
    }
}
