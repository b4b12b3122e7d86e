//! The picture of the house in `src/lib.rs`, from which the tests read who may know whom.

use crate::sources::root;
use std::fs;

/// The rooms of each floor, the lowest first.
pub(crate) struct Floors(Vec<Vec<String>>);

impl Floors {
    /// Reads the picture.
    pub(crate) fn read() -> Self {
        let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
        let picture = picture(&lib, "//!");
        let mut floors: Vec<_> = picture.iter().map(|line| floor(line)).collect();
        floors.reverse();
        let numbers: Vec<_> = floors.iter().map(|(number, _)| *number).collect();
        assert_eq!(
            numbers,
            (1..=floors.len()).collect::<Vec<_>>(),
            "floors are numbered from 1"
        );
        Self(floors.into_iter().map(|(_, rooms)| rooms).collect())
    }

    /// The floor of a room, from 0.
    pub(crate) fn of(&self, room: &str) -> usize {
        let found = self
            .0
            .iter()
            .position(|rooms| rooms.iter().any(|other| other == room));
        found.unwrap_or_else(|| panic!("{room} is not in the picture of src/lib.rs"))
    }

    /// Every room.
    pub(crate) fn rooms(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flatten().map(String::as_str)
    }
}

/// The lines of the first picture of a page, without what stands before each of them.
pub(crate) fn picture(page: &str, before: &str) -> Vec<String> {
    let lines = page
        .lines()
        .map(|line| line.strip_prefix(before).unwrap_or(line));
    let lines = lines.skip_while(|line| line.trim() != "```text").skip(1);
    let lines = lines.take_while(|line| line.trim() != "```");
    lines
        .map(|line| line.trim_end().trim_start_matches(' ').to_owned())
        .collect()
}

/// The number and the rooms of a line such as `3  tls  request   records, heads`.
///
/// Rooms are parted by two spaces or more, and so is what is said of them, which has a space or a
/// comma in it.
fn floor(line: &str) -> (usize, Vec<String>) {
    let mut parts = line
        .split("  ")
        .map(str::trim)
        .filter(|part| !part.is_empty());
    let number = parts.next().and_then(|number| number.parse().ok());
    let number = number.unwrap_or_else(|| panic!("no floor: {line:?}"));
    let rooms = parts.take_while(|part| part.chars().all(|c| c.is_ascii_lowercase()));
    (number, rooms.map(str::to_owned).collect())
}
