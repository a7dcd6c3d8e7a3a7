//! What a log is read from: anything that can be read at an offset and may grow meanwhile.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// A log, on disk or in memory. Nobody's file position is moved by reading it.
pub trait ReadAt {
    /// How many bytes there are now.
    ///
    /// # Errors
    /// What the system says.
    fn size(&self) -> io::Result<u64>;

    /// Reads bytes from offset `at` on into `buffer`, and gives how many. 0 at the end and beyond it.
    ///
    /// # Errors
    /// What the system says.
    fn read_some(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;

    /// Fills `buffer` from offset `at` on, and gives how much of it: less than all of it only at the end.
    ///
    /// # Errors
    /// What the system says.
    fn read_full(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_some(&mut buffer[filled..], at + filled as u64)? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(filled)
    }
}

impl ReadAt for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_some(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        loop {
            match self.read_at(buffer, at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

impl ReadAt for [u8] {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_some(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let from = usize::try_from(at).unwrap_or(usize::MAX).min(self.len());
        let count = buffer.len().min(self.len() - from);
        buffer[..count].copy_from_slice(&self[from..from + count]);
        Ok(count)
    }
}

impl ReadAt for Vec<u8> {
    fn size(&self) -> io::Result<u64> {
        self.as_slice().size()
    }

    fn read_some(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.as_slice().read_some(buffer, at)
    }
}
