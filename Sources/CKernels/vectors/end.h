// Closes what the header of the vectors opened. Included last by every file that includes one of them.
#pragma clang attribute pop
