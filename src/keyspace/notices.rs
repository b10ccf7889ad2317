//! What commands do to keys without a thought of it, for those who want to be told: that one is new, was overwritten, or
//! was looked for and not there. Only what is wanted is noted. Expired keys are not here: everybody is told of them.

/// Something that has happened to a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Happening {
    /// It was not there before.
    New,
    /// It was to be read, and is not there.
    Missed,
    /// It was set to another value as a whole.
    Overwritten,
    /// And that value is of another type.
    TypeChanged,
}

/// One note.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// What has happened.
    pub happening: Happening,
    /// The database of the key.
    pub db: usize,
    /// The key.
    pub key: Vec<u8>,
}

/// Notes that nobody has read yet, in order.
#[derive(Default)]
pub struct Notices {
    wanted: u8,
    notes: Vec<Notice>,
}

impl Notices {
    /// Says what is noted from now on.
    pub fn want(&mut self, happenings: impl Iterator<Item = Happening>) {
        self.wanted = happenings.map(bit).fold(0, |wanted, bit| wanted | bit);
    }

    /// Whether anybody wants to be told of this.
    #[inline]
    pub fn wants(&self, happening: Happening) -> bool {
        self.wanted & bit(happening) != 0
    }

    /// Notes it, if it is wanted.
    #[inline]
    pub fn note(&mut self, happening: Happening, db: usize, key: &[u8]) {
        if self.wants(happening) {
            self.add(happening, db, key);
        }
    }

    #[cold]
    fn add(&mut self, happening: Happening, db: usize, key: &[u8]) {
        self.notes.push(Notice { happening, db, key: key.to_vec() });
    }

    /// Whether there is anything to take.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    /// The notes since this was last asked.
    pub fn take(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notes)
    }
}

fn bit(happening: Happening) -> u8 {
    1 << happening as u8
}
