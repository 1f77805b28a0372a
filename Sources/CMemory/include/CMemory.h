/// What happens when the system gives no more memory.
#pragma once

#include <stddef.h>

/// From here on, a request for memory that is not granted ends the process with `status` and one line on standard error. Swift would end it with a stack
/// trace: nothing in it can go on. Does nothing where the C library is not glibc, and under sanitizers, which have their own.
void dso_report_exhaustion(int status);

/// From here on, the HDF5 library gets no more than so many bytes at once: it asks for what a damaged file says before it looks whether the file
/// has as much, and reports what it does not get. Returns the limit until now, `SIZE_MAX` at first. It is there where `dso_report_exhaustion`
/// does something, so that who calls it must ask for it by a weak reference.
size_t dso_limit_hdf5_requests(size_t bytes);
