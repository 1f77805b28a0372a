/// The HDF5 C library as Swift sees it: hdf5.h itself, and functions for what hdf5.h offers only as macros or under names that
/// changed between 1.10 (Debian 12) and 1.14 or 2.0 (Homebrew).
#ifndef DSO_CHDF5_H
#define DSO_CHDF5_H

#if !__has_include(<hdf5.h>)
#error "the HDF5 C library is missing: install it with `apt install libhdf5-dev` or `brew install hdf5`, then build again"
#else

#if !__has_include(<zlib.h>)
#error "zlib, which HDF5 files are compressed with, is missing: install it with `apt install zlib1g-dev`, then build again"
#endif

#include <hdf5.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "CHDF5MemoryDriver.h"

// MARK: - Constants that are macros

static inline hid_t chdf5_file_access_class(void) { return H5P_FILE_ACCESS; }
static inline hid_t chdf5_file_creation_class(void) { return H5P_FILE_CREATE; }
static inline hid_t chdf5_dataset_creation_class(void) { return H5P_DATASET_CREATE; }
static inline hid_t chdf5_link_creation_class(void) { return H5P_LINK_CREATE; }
static inline unsigned chdf5_read_only(void) { return H5F_ACC_RDONLY; }
static inline unsigned chdf5_truncate(void) { return H5F_ACC_TRUNC; }
static inline hid_t chdf5_float64_memory(void) { return H5T_NATIVE_DOUBLE; }
static inline hid_t chdf5_int64_memory(void) { return H5T_NATIVE_INT64; }
static inline hid_t chdf5_uint64_memory(void) { return H5T_NATIVE_UINT64; }
static inline hid_t chdf5_float32_le(void) { return H5T_IEEE_F32LE; }
static inline hid_t chdf5_float64_le(void) { return H5T_IEEE_F64LE; }

/// A new little-endian integer type of 1, 2, 4 or 8 bytes; negative for another size.
static inline hid_t chdf5_integer_type(int bytes, int is_signed) {
  switch (bytes) {
  case 1: return H5Tcopy(is_signed ? H5T_STD_I8LE : H5T_STD_U8LE);
  case 2: return H5Tcopy(is_signed ? H5T_STD_I16LE : H5T_STD_U16LE);
  case 4: return H5Tcopy(is_signed ? H5T_STD_I32LE : H5T_STD_U32LE);
  case 8: return H5Tcopy(is_signed ? H5T_STD_I64LE : H5T_STD_U64LE);
  default: return -1;
  }
}

/// A new type of C strings: of variable length when size is 0, else of that many bytes, padded with NUL.
static inline hid_t chdf5_string_type(size_t size, H5T_cset_t character_set) {
  hid_t type = H5Tcopy(H5T_C_S1);
  if (type < 0) return type;
  if (H5Tset_size(type, size == 0 ? H5T_VARIABLE : size) < 0 || H5Tset_cset(type, character_set) < 0 ||
      (size > 0 && H5Tset_strpad(type, H5T_STR_NULLPAD) < 0)) {
    H5Tclose(type);
    return -1;
  }
  return type;
}

// MARK: - Names that changed

#if H5_VERSION_GE(1, 12, 0)
typedef H5O_info2_t chdf5_object_information;
#else
typedef H5O_info_t chdf5_object_information;
#endif

static inline uint64_t chdf5_address(const chdf5_object_information *info) {
#if H5_VERSION_GE(1, 12, 0)
  uint64_t address;
  memcpy(&address, &info->token, sizeof address);
  return address;
#else
  return (uint64_t)info->addr;
#endif
}

/// The address of an open object's header, counted from the superblock: equal addresses are the same object. Negative on failure.
static inline int chdf5_object_address(hid_t object, uint64_t *address) {
  chdf5_object_information info;
#if H5_VERSION_GE(1, 12, 0)
  if (H5Oget_info3(object, &info, H5O_INFO_BASIC) < 0) return -1;
#else
  if (H5Oget_info2(object, &info, H5O_INFO_BASIC) < 0) return -1;
#endif
  *address = chdf5_address(&info);
  return 0;
}

/// Opens the object whose header is at an address, counted from the superblock. Negative on failure.
static inline hid_t chdf5_open_object(hid_t file, uint64_t address) {
#if H5_VERSION_GE(1, 12, 0)
  H5O_token_t token = {{0}};
  memcpy(&token, &address, sizeof address);
  return H5Oopen_by_token(file, token);
#else
  return H5Oopen_by_addr(file, (haddr_t)address);
#endif
}

/// Where the elements of a contiguous dataset start in the file, counted from its first byte; UINT64_MAX when it has none.
static inline uint64_t chdf5_dataset_offset(hid_t dataset) {
  haddr_t address = H5Dget_offset(dataset);
  return address == HADDR_UNDEF ? UINT64_MAX : (uint64_t)address;
}

/// Frees what reading strings of variable length allocated.
static inline int chdf5_reclaim(hid_t type, hid_t space, void *buffer) {
#if H5_VERSION_GE(1, 12, 0)
  return H5Treclaim(type, space, H5P_DEFAULT, buffer);
#else
  return H5Dvlen_reclaim(type, space, H5P_DEFAULT, buffer);
#endif
}

// MARK: - Walking

/// What kind of link it is, in the library's numbers: 0 hard, 1 soft, 64 external; and where the header is that a hard one leads to, counted
/// from the superblock. A result other than 0 ends the walk.
typedef int (*chdf5_link_visitor)(const char *name, int kind, uint64_t address, void *context);

typedef struct {
  chdf5_link_visitor visit;
  void *context;
} chdf5_link_walk;

#if H5_VERSION_GE(1, 12, 0)
static inline herr_t chdf5_visit_link(hid_t group, const char *name, const H5L_info2_t *info, void *walk) {
#else
static inline herr_t chdf5_visit_link(hid_t group, const char *name, const H5L_info_t *info, void *walk) {
#endif
  (void)group;
  chdf5_link_walk *state = (chdf5_link_walk *)walk;
  uint64_t address = 0;
#if H5_VERSION_GE(1, 12, 0)
  if (info->type == H5L_TYPE_HARD) memcpy(&address, &info->u.token, sizeof address);
#else
  if (info->type == H5L_TYPE_HARD) address = (uint64_t)info->u.address;
#endif
  return state->visit(name, (int)info->type, address, state->context);
}

/// Visits the links of one group without following any. Negative on failure, else what the visitor returned last.
static inline int chdf5_visit_links(hid_t group, chdf5_link_visitor visit, void *context) {
  chdf5_link_walk walk = {visit, context};
  hsize_t position = 0;
#if H5_VERSION_GE(1, 12, 0)
  return H5Literate2(group, H5_INDEX_NAME, H5_ITER_NATIVE, &position, chdf5_visit_link, &walk);
#else
  return H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, &position, chdf5_visit_link, &walk);
#endif
}

// MARK: - Chunks

/// The bytes that a deflated stream unfolds to; -1 when it is damaged or cut short, or unfolds to more than limit.
static inline int64_t chdf5_inflated_size(const void *bytes, size_t count, uint64_t limit) {
  z_stream stream;
  unsigned char window[1 << 14];
  const unsigned char *rest = (const unsigned char *)bytes;
  memset(&stream, 0, sizeof stream);
  if (inflateInit(&stream) != Z_OK) return -1;
  int status = Z_OK;
  uint64_t size = 0;
  while (status == Z_OK && size <= limit) {
    if (stream.avail_in == 0) {
      // In pieces that its counter holds.
      size_t piece = count < (1u << 30) ? count : 1u << 30;
      stream.next_in = (Bytef *)rest;
      stream.avail_in = (uInt)piece;
      rest += piece;
      count -= piece;
    }
    stream.next_out = window;
    stream.avail_out = sizeof window;
    status = inflate(&stream, Z_SYNC_FLUSH);
    size += sizeof window - stream.avail_out;
  }
  inflateEnd(&stream);
  return status == Z_STREAM_END && size <= limit ? (int64_t)size : -1;
}

// MARK: - Memory

#if defined(__GLIBC__)
/// The programs of this package bring it along; other users of this header may not.
extern size_t dso_limit_hdf5_requests(size_t bytes) __attribute__((weak));
#endif

/// How many bytes the library may get at once from here on, where a program bounds that. Returns the limit until now, `SIZE_MAX` for none.
static inline size_t chdf5_limit_requests(size_t bytes) {
#if defined(__GLIBC__)
  if (dso_limit_hdf5_requests) return dso_limit_hdf5_requests(bytes);
#endif
  (void)bytes;
  return SIZE_MAX;
}

// MARK: - Errors

typedef struct {
  char *text;
  size_t capacity;
} chdf5_message;

static inline herr_t chdf5_copy_innermost(unsigned depth, const H5E_error2_t *error, void *context) {
  chdf5_message *message = (chdf5_message *)context;
  if (depth == 0 && error->desc && message->capacity > 0) {
    strncpy(message->text, error->desc, message->capacity - 1);
    message->text[message->capacity - 1] = 0;
  }
  return 0;
}

/// Copies what the innermost function of the last failed call said; an empty text when nothing is known.
static inline void chdf5_last_error(char *text, size_t capacity) {
  chdf5_message message = {text, capacity};
  if (capacity > 0) text[0] = 0;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, chdf5_copy_innermost, &message);
}

#endif
#endif
