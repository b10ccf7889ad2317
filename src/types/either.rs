//! `Either`: what a function returns that looks at a packed collection or a big one.

/// Either of two views of a collection. Two iterators over the same kind of item are an iterator.
#[derive(Clone, Debug)]
pub(super) enum Either<A, B> {
    /// Over packed bytes.
    Packed(A),
    /// Over a big structure.
    Big(B),
}

impl<T, A, B> Iterator for Either<A, B>
where
    A: Iterator<Item = T>,
    B: Iterator<Item = T>,
{
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match self {
            Self::Packed(items) => items.next(),
            Self::Big(items) => items.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Self::Packed(items) => items.size_hint(),
            Self::Big(items) => items.size_hint(),
        }
    }
}

impl<T, A, B> DoubleEndedIterator for Either<A, B>
where
    A: DoubleEndedIterator<Item = T>,
    B: DoubleEndedIterator<Item = T>,
{
    fn next_back(&mut self) -> Option<T> {
        match self {
            Self::Packed(items) => items.next_back(),
            Self::Big(items) => items.next_back(),
        }
    }
}
