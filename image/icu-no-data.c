/*
 * Stands in the place of ICU's data (libicudata.so, 32 MB), which no relay uses: a table of contents that is empty,
 * so ICU says of every collation and conversion that it is missing. ICU is made to be built like this. Dovecot links
 * ICU for full-text search; what it does with names of folders and with SEARCH is its own code. Postfix links it for
 * domains in other letters than ASCII, which smtputf8_enable = no keeps out.
 *
 * The layout is that of UDataInfo in unicode/udata.h. ENTRY is the name that the version of ICU asks for, such as
 * icudt76_dat.
 */
#include <stdint.h>

struct no_data {
  uint16_t header_size;
  uint8_t magic[2];
  uint16_t info_size;
  uint16_t reserved;
  uint8_t is_big_endian;
  uint8_t charset_family;
  uint8_t size_of_uchar;
  uint8_t reserved_byte;
  uint8_t format[4];
  uint8_t format_version[4];
  uint8_t data_version[4];
  uint8_t padding[8];
  uint32_t count;
  uint32_t padding_of_count;
};

extern const struct no_data ENTRY;

__attribute__((aligned(16), visibility("default"))) const struct no_data ENTRY = {
  .header_size = 32,
  .magic = {0xda, 0x27},
  .info_size = 20,
  .is_big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__,
  .size_of_uchar = 2,
  .format = {'T', 'o', 'C', 'P'},
  .format_version = {1, 0, 0, 0},
  .count = 0,
};
