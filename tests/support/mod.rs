//! What tests share.

#![expect(dead_code, reason = "each test binary uses its own part of it")]

pub mod vpu;
