/// A file driver for the HDF5 library that reads from bytes in memory: a mapped file. The library then opens no file itself, so it sees
/// the very bytes that were checked, takes no lock, and every read, wherever a damaged address points, is held against the true size.
#ifndef DSO_CHDF5_MEMORY_DRIVER_H
#define DSO_CHDF5_MEMORY_DRIVER_H

#include <hdf5.h>
#if H5_VERSION_GE(1, 14, 0)
#include <H5FDdevelop.h>
#endif
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  const unsigned char *bytes;
  uint64_t size;
} chdf5_memory;

/// An open file: the library's part first.
typedef struct {
  H5FD_t library;
  chdf5_memory memory;
  haddr_t end_of_allocation;
} chdf5_memory_file;

static inline H5FD_t *chdf5_memory_open(const char *name, unsigned flags, hid_t access, haddr_t largest) {
  (void)name, (void)largest;
  const chdf5_memory *memory = (const chdf5_memory *)H5Pget_driver_info(access);
  if (!memory || (flags & (H5F_ACC_RDWR | H5F_ACC_TRUNC | H5F_ACC_CREAT))) return NULL;
  chdf5_memory_file *file = (chdf5_memory_file *)calloc(1, sizeof *file);
  if (file) file->memory = *memory;
  return (H5FD_t *)file;
}

static inline herr_t chdf5_memory_close(H5FD_t *file) {
  free(file);
  return 0;
}

static inline int chdf5_memory_compare(const H5FD_t *left, const H5FD_t *right) {
  uintptr_t a = (uintptr_t)((const chdf5_memory_file *)left)->memory.bytes;
  uintptr_t b = (uintptr_t)((const chdf5_memory_file *)right)->memory.bytes;
  return a < b ? -1 : a > b;
}

/// No features: the library keeps no second copy of what it reads, and trusts no driver information in the file.
static inline herr_t chdf5_memory_query(const H5FD_t *file, unsigned long *flags) {
  (void)file;
  if (flags) *flags = H5FD_FEAT_IGNORE_DRVRINFO;
  return 0;
}

static inline haddr_t chdf5_memory_get_eoa(const H5FD_t *file, H5FD_mem_t type) {
  (void)type;
  return ((const chdf5_memory_file *)file)->end_of_allocation;
}

static inline herr_t chdf5_memory_set_eoa(H5FD_t *file, H5FD_mem_t type, haddr_t address) {
  (void)type;
  ((chdf5_memory_file *)file)->end_of_allocation = address;
  return 0;
}

static inline haddr_t chdf5_memory_get_eof(const H5FD_t *file, H5FD_mem_t type) {
  (void)type;
  return ((const chdf5_memory_file *)file)->memory.size;
}

static inline herr_t chdf5_memory_read(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t size, void *buffer) {
  (void)type, (void)transfer;
  const chdf5_memory *memory = &((const chdf5_memory_file *)file)->memory;
  if (address > memory->size || size > memory->size - address) return -1;
  memcpy(buffer, memory->bytes + address, size);
  return 0;
}

static inline herr_t chdf5_memory_write(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t size, const void *buffer) {
  (void)file, (void)type, (void)transfer, (void)address, (void)size, (void)buffer;
  return -1;
}

/// Makes the driver known to the library; negative on failure. It must stay so: 1.10 gives up its reference before it closes a file.
static inline hid_t chdf5_register_memory_driver(void) {
  static const H5FD_class_t driver = {
#if H5_VERSION_GE(1, 14, 0)
    .version = H5FD_CLASS_VERSION,
    .value = (H5FD_class_value_t)(H5_VFD_RESERVED + 77),
#endif
    .name = "mapped",
    .maxaddr = (haddr_t)INT64_MAX,
    .fc_degree = H5F_CLOSE_STRONG,
    .fapl_size = sizeof(chdf5_memory),
    .open = chdf5_memory_open,
    .close = chdf5_memory_close,
    .cmp = chdf5_memory_compare,
    .query = chdf5_memory_query,
    .get_eoa = chdf5_memory_get_eoa,
    .set_eoa = chdf5_memory_set_eoa,
    .get_eof = chdf5_memory_get_eof,
    .read = chdf5_memory_read,
    .write = chdf5_memory_write,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
  };
  return H5FDregister(&driver);
}

/// Makes the files opened with these access properties be `size` bytes at `bytes`, which must outlive them. Negative on failure.
static inline int chdf5_set_memory_driver(hid_t access, hid_t driver, const void *bytes, uint64_t size) {
  chdf5_memory memory = {(const unsigned char *)bytes, size};
  return H5Pset_driver(access, driver, &memory);
}

#endif
