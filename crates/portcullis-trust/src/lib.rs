//! Who is this, and what may this token do.
