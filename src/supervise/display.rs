//! What the command's terminals show, to all who look: in the order in which it came.
//!
//! What the terminals have been told to be is kept, so that one that is left is put back. While the alternate screen is shown a
//! picture of it is drawn here too, for whoever comes later. Lines need none: they are in the log.

use std::num::NonZeroU16;

use super::viewer::{Manner, Viewer, ViewerId};
use crate::sys::pty::Size;
use crate::task::Stream;
use crate::task::screen::Screen;

/// The viewers, and what they see.
pub struct Display {
    /// What the terminals have been told to be.
    pub screen: Screen,
    /// What the alternate screen shows.
    picture: Option<vt100::Parser>,
    /// How large the command's terminals are.
    size: Size,
    /// Who looks.
    pub viewers: Vec<Viewer>,
    /// Who came last.
    last: ViewerId,
}

impl std::fmt::Debug for Display {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { screen, size, viewers, .. } = self;
        f.debug_struct("Display")
            .field("screen", screen)
            .field("size", size)
            .field("viewers", viewers)
            .finish_non_exhaustive()
    }
}

impl Display {
    /// One that nobody looks at yet, with terminals that are as a predecessor knew them.
    #[must_use]
    pub fn new(screen: Screen, size: Size) -> Self {
        Self { screen, picture: None, size, viewers: Vec::new(), last: ViewerId::default() }
    }

    /// Lets somebody look.
    pub fn add(&mut self, mut viewer: Viewer) {
        self.last = self.last.next();
        viewer.id = self.last;
        self.viewers.push(viewer);
    }

    /// The place of a viewer that is still there.
    #[must_use]
    pub fn at(&self, viewer: ViewerId) -> Option<usize> {
        self.viewers.iter().position(|one| one.id == viewer)
    }

    /// Shows `bytes`, which are those of `stream` if they are of any, to all who look at that.
    pub fn show(&mut self, bytes: &[u8], stream: Option<Stream>) {
        let sees = |viewer: &Viewer| stream.is_none_or(|stream| viewer.sees[stream.index()]);
        for viewer in self.viewers.iter_mut().filter(|viewer| viewer.shows() && sees(viewer)) {
            if viewer.show(bytes).is_err() {
                // Its terminal has gone, which polling tells as well.
                viewer.manner = Manner::Unseen;
            }
        }
        let entered = self.screen.show(bytes);
        if !self.screen.is_alternate() {
            self.picture = None;
            return;
        }
        if let Some(at) = entered {
            let mut picture =
                vt100::Parser::new(at_least_one(self.size.rows), at_least_one(self.size.columns), 0);
            picture.process(&bytes[at..]);
            self.picture = Some(picture);
        } else if let Some(picture) = &mut self.picture {
            picture.process(bytes);
        }
    }

    /// The terminals have another size.
    pub fn resize(&mut self, size: Size) {
        self.size = size;
        if let Some(picture) = &mut self.picture {
            picture.screen_mut().set_size(at_least_one(size.rows), at_least_one(size.columns));
        }
    }

    /// The size that they have.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// What draws the alternate screen as it is now, if that is shown and known.
    #[must_use]
    pub fn drawing(&self) -> Option<String> {
        self.picture.as_ref().map(|picture| picture.screen().state_formatted())
    }

    /// Whether all that was to be shown has been, to whoever did not attach.
    #[must_use]
    pub fn is_up_to_date(&self) -> bool {
        self.viewers.iter().all(|viewer| viewer.client.is_some() || viewer.is_up_to_date())
    }
}

fn at_least_one(cells: u16) -> NonZeroU16 {
    NonZeroU16::new(cells).unwrap_or(NonZeroU16::MIN)
}
