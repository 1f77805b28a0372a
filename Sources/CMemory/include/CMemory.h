/// What happens when the system gives no more memory.
#pragma once

/// From here on, a request for memory that is not granted ends the process with `status` and one line on standard error. Swift would end it with a stack
/// trace: nothing in it can go on. Does nothing where the C library is not glibc, and under sanitizers, which have their own.
void dso_report_exhaustion(int status);
