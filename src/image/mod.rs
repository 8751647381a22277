//! Images on this computer: what they are, and their bytes as the device's docker takes them.
