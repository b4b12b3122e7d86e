//! Elements of DER (X.690), and where in a document each of them stands.
//!
//! For what no library returns: the raw bytes of a part, and its offset. It reads definite lengths and
//! tags of one byte, which is all that certificates and CRLs consist of; anything else is `None`.

#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'d> {
    /// Where its tag stands in the document.
    pub(super) offset: usize,
    /// Its tag with class and form.
    pub(super) tag: u8,
    /// Tag, length and content.
    pub(super) whole: &'d [u8],
    pub(super) content: &'d [u8],
}

impl<'d> Element<'d> {
    /// The one element that a document consists of.
    pub(super) fn document(der: &'d [u8]) -> Option<Self> {
        match elements(der, 0)?.as_slice() {
            [one] => Some(*one),
            _ => None,
        }
    }

    /// The elements that its content consists of.
    pub(super) fn children(&self) -> Option<Vec<Self>> {
        elements(self.content, self.content_offset())
    }

    /// The one element that its content consists of.
    pub(super) fn only_child(&self) -> Option<Self> {
        match self.children()?.as_slice() {
            [one] => Some(*one),
            _ => None,
        }
    }

    /// Where its content begins in the document.
    pub(super) fn content_offset(&self) -> usize {
        self.offset + self.whole.len() - self.content.len()
    }
}

fn elements(mut input: &[u8], mut offset: usize) -> Option<Vec<Element<'_>>> {
    let mut found = Vec::new();
    while !input.is_empty() {
        let element = first(input, offset)?;
        input = input.get(element.whole.len()..)?;
        offset += element.whole.len();
        found.push(element);
    }
    Some(found)
}

fn first(input: &[u8], offset: usize) -> Option<Element<'_>> {
    let (tag, rest) = input.split_first()?;
    let (short, rest) = rest.split_first()?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    // X.690 section 8.1.3: the length itself, or how many bytes it has.
    let (length, rest) = match short {
        0..=0x7f => (usize::from(*short), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
            let value = bytes.iter();
            (
                value.fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
                rest,
            )
        }
        _ => return None,
    };
    let content = rest.get(..length)?;
    let header = input.len() - rest.len();
    Some(Element {
        offset,
        tag: *tag,
        whole: input.get(..header + length)?,
        content,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_knows_where_it_stands() {
        let der = [0x30, 6, 2, 1, 5, 0xa0, 1, 0];
        let children = Element::document(&der).unwrap().children().unwrap();
        let offsets: Vec<_> = children.iter().map(|child| child.offset).collect();
        assert_eq!(offsets, [2, 5]);
        assert_eq!(children[1].content_offset(), 7);
        assert_eq!(children[0].whole, [2, 1, 5]);
    }

    #[test]
    fn what_is_cut_off_or_not_der_is_nothing() {
        for der in [
            &[][..],
            &[0x30],
            &[0x30, 2, 0],
            &[0x30, 0x80, 0, 0],
            &[0x30, 0x85, 0, 0, 0, 0, 0],
            &[0x1f, 0],
            &[0x30, 0, 0x30, 0],
        ] {
            assert!(Element::document(der).is_none(), "{der:?}");
        }
    }
}
