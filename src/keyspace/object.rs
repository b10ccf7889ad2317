//! Values too big for their entry's block, and the numbered store they live in.

use bytes::Bytes;

use crate::types::hash::Hash;
use crate::types::list::List;
use crate::types::set::Set;
use crate::types::sorted_set::SortedSet;

/// A value that has memory of its own.
#[derive(Debug, Clone)]
pub enum Object {
    /// A long string. Shared by reference with the replies that are still being sent.
    String(Bytes),
    /// A list.
    List(List),
    /// A set.
    Set(Set),
    /// A sorted set.
    SortedSet(SortedSet),
    /// A hash.
    Hash(Hash),
}

impl Object {
    /// Heap bytes behind it.
    pub fn memory_bytes(&self) -> usize {
        match self {
            Self::String(bytes) => bytes.len(),
            Self::List(list) => list.view().memory_bytes(),
            Self::Set(set) => set.memory_bytes(),
            Self::SortedSet(sorted_set) => sorted_set.memory_bytes(),
            Self::Hash(hash) => hash.memory_bytes(),
        }
    }
}

const CHUNK: usize = 1024;

/// Objects by number. Grows by chunks, so that no growth copies what is there.
#[derive(Default)]
pub struct Objects {
    chunks: Vec<Vec<Option<Object>>>,
    free: Vec<u32>,
    memory_bytes: usize,
}

impl Objects {
    /// Keeps `object` and returns its number. O(1).
    pub fn insert(&mut self, object: Object) -> u32 {
        self.memory_bytes += object.memory_bytes();
        if let Some(number) = self.free.pop() {
            let (chunk, index) = place(number);
            self.chunks[chunk][index] = Some(object);
            return number;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::new());
        }
        let last = self.chunks.len() - 1;
        self.chunks[last].push(Some(object));
        u32::try_from(last * CHUNK + self.chunks[last].len() - 1)
            .expect("4 G objects need more memory than there is")
    }

    /// The object with that number.
    pub fn get(&self, number: u32) -> &Object {
        let (chunk, index) = place(number);
        self.chunks[chunk][index].as_ref().expect("an entry refers to a live object")
    }

    /// Changes the object with that number, and returns what `change` does; the memory count follows.
    pub fn update<R>(&mut self, number: u32, change: impl FnOnce(&mut Object) -> R) -> R {
        let (chunk, index) = place(number);
        let object = self.chunks[chunk][index].as_mut().expect("an entry refers to a live object");
        self.memory_bytes -= object.memory_bytes();
        let result = change(object);
        self.memory_bytes += object.memory_bytes();
        result
    }

    /// Takes the object with that number out.
    pub fn remove(&mut self, number: u32) -> Object {
        let (chunk, index) = place(number);
        let object = self.chunks[chunk][index].take().expect("an entry refers to a live object");
        self.memory_bytes -= object.memory_bytes();
        self.free.push(number);
        object
    }

    /// Heap bytes behind all of them.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }
}

fn place(number: u32) -> (usize, usize) {
    (number as usize / CHUNK, number as usize % CHUNK)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(len: usize) -> Object {
        Object::String(Bytes::from(vec![b'x'; len]))
    }

    #[test]
    fn numbers_are_reused_and_memory_is_counted() {
        let mut objects = Objects::default();
        let numbers: Vec<u32> = (0..3000).map(|i| objects.insert(string(i))).collect();
        assert_eq!(objects.memory_bytes(), 2999 * 3000 / 2);
        for &number in &numbers {
            assert_eq!(objects.remove(number).memory_bytes(), number as usize);
        }
        assert_eq!(objects.memory_bytes(), 0);
        let again = objects.insert(string(7));
        assert!(numbers.contains(&again));
        objects.update(again, |object| *object = string(9));
        assert_eq!(objects.memory_bytes(), 9);
    }
}
