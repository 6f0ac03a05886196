//! Finds CI workflows that carry secrets away.
