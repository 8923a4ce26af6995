//! How a rebuild divides its memory among its queries, the lists that they read, the sorting of their rows, which goes on beside
//! them, and what no pool counts.

use crate::engine::EngineSettings;

/// What sorting takes: one part of so many. Encoders take twice as much, when the queries are done.
const PART_FOR_SORTING: usize = 8;

/// What is left to what no pool counts, such as batches on their way and memory that was given back a moment ago: one part of so many.
const PART_UNCOUNTED: usize = 8;

/// What a list that is kept (of ids or places that are due) takes of the memory of queries: one part of so many of all. There are up
/// to seven, and queries that read them need memory, too.
const PART_FOR_LIST: usize = 16;

/// Bytes for sorting the rows of queries.
pub fn for_sorting(settings: &EngineSettings) -> usize {
    settings.memory_bytes / PART_FOR_SORTING
}

/// Bytes for one list that is kept while queries read it.
pub fn for_list(settings: &EngineSettings) -> usize {
    settings.memory_bytes / PART_FOR_LIST
}

/// The settings of an engine whose rows are sorted beside it.
pub fn for_queries(settings: &EngineSettings) -> EngineSettings {
    let others = for_sorting(settings) + settings.memory_bytes / PART_UNCOUNTED;
    EngineSettings { memory_bytes: settings.memory_bytes - others, ..settings.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_and_sorting_leave_a_part_of_the_memory() {
        for memory_bytes in [0, 7, 64 << 20, 1 << 30] {
            let settings = EngineSettings { memory_bytes, ..EngineSettings::default() };
            let (queries, sorting) = (for_queries(&settings).memory_bytes, for_sorting(&settings));
            assert!(queries + sorting <= memory_bytes - memory_bytes / PART_UNCOUNTED, "{memory_bytes}");
            assert!(queries >= memory_bytes / 4 * 3);
            assert!(
                queries - 7 * for_list(&settings) >= queries / 3,
                "{memory_bytes}: lists leave some to who reads them"
            );
        }
    }
}
