/// MPI as Swift sees it: what mpi.h offers as macros, and waiting that leaves the processor to others.
///
/// Results are MPI's error codes, 0 for none. Lengths are in bytes and may be beyond 2^31: calls take pieces.
#ifndef DSO_CMPI_H
#define DSO_CMPI_H

#if !__has_include(<mpi.h>)
#error "MPI is missing: install it with `apt install libopenmpi-dev openmpi-bin`, or name another's pkg-config package in DSO_MPI, then build again"
#else

#include <mpi.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

/// The most bytes that go into one message.
#define CMPI_PIECE (INT64_C(1) << 30)

static inline int64_t cmpi_piece(void) { return CMPI_PIECE; }

static inline int cmpi_start(int *rank, int *count) {
  int provided, error = MPI_Init_thread(0, 0, MPI_THREAD_SERIALIZED, &provided);
  if (error) return error;
  if (provided < MPI_THREAD_SERIALIZED) return MPI_ERR_OTHER;
  // Errors come back, to be told in our words.
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  if ((error = MPI_Comm_rank(MPI_COMM_WORLD, rank))) return error;
  return MPI_Comm_size(MPI_COMM_WORLD, count);
}

/// Waits without keeping a processor busy: MPI's own waiting spins, and several processes may share one. What is nearly there is caught at once.
static inline int cmpi_wait(MPI_Request *request) {
  long pause = 0;
  for (int turn = 0;; turn++) {
    int done = 0, error = MPI_Test(request, &done, MPI_STATUS_IGNORE);
    if (error || done) return error;
    if (turn < 32) continue;
    if (turn < 64) {
      sched_yield();
      continue;
    }
    pause = pause < 500000 ? pause + 10000 : 500000;
    struct timespec time = {0, pause};
    nanosleep(&time, 0);
  }
}

static inline int cmpi_broadcast(void *bytes, int64_t count, int root) {
  for (int64_t done = 0; done < count; done += CMPI_PIECE) {
    int64_t piece = count - done < CMPI_PIECE ? count - done : CMPI_PIECE;
    MPI_Request request;
    int error = MPI_Ibcast((char *)bytes + done, (int)piece, MPI_BYTE, root, MPI_COMM_WORLD, &request);
    if (!error) error = cmpi_wait(&request);
    if (error) return error;
  }
  return 0;
}

/// Every process's part at all of them, each at its place; a process's own is there already. All together at most CMPI_PIECE.
static inline int cmpi_gather(void *bytes, const int *counts, const int *places) {
  MPI_Request request;
  int error = MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, bytes, counts, places, MPI_BYTE, MPI_COMM_WORLD, &request);
  return error ? error : cmpi_wait(&request);
}

static inline int cmpi_send(const void *bytes, int64_t count, int rank) {
  for (int64_t done = 0; done < count; done += CMPI_PIECE) {
    int64_t piece = count - done < CMPI_PIECE ? count - done : CMPI_PIECE;
    MPI_Request request;
    int error = MPI_Isend((const char *)bytes + done, (int)piece, MPI_BYTE, rank, 0, MPI_COMM_WORLD, &request);
    if (!error) error = cmpi_wait(&request);
    if (error) return error;
  }
  return 0;
}

static inline int cmpi_receive(void *bytes, int64_t count, int rank) {
  for (int64_t done = 0; done < count; done += CMPI_PIECE) {
    int64_t piece = count - done < CMPI_PIECE ? count - done : CMPI_PIECE;
    MPI_Request request;
    int error = MPI_Irecv((char *)bytes + done, (int)piece, MPI_BYTE, rank, 0, MPI_COMM_WORLD, &request);
    if (!error) error = cmpi_wait(&request);
    if (error) return error;
  }
  return 0;
}

static inline int cmpi_host_length(void) { return MPI_MAX_PROCESSOR_NAME; }

/// This machine's name, in `cmpi_host_length` bytes that are otherwise 0.
static inline int cmpi_host(char *name) {
  int length = 0;
  memset(name, 0, MPI_MAX_PROCESSOR_NAME);
  return MPI_Get_processor_name(name, &length);
}

/// What an error code says, in at least `cmpi_text_length` bytes.
static inline int cmpi_text_length(void) { return MPI_MAX_ERROR_STRING; }
static inline int cmpi_text(int error, char *text) {
  int length = 0;
  return MPI_Error_string(error, text, &length);
}

static inline int cmpi_finish(void) { return MPI_Finalize(); }
static inline int cmpi_abort(int status) { return MPI_Abort(MPI_COMM_WORLD, status); }

#endif
#endif
