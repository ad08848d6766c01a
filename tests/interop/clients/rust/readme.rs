//! The README's program, from the file that README_PROGRAM names when this is built.

include!(env!("README_PROGRAM"));
