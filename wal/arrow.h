// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Numbers of the Arrow IPC format (Message.fbs, Schema.fbs) that this log uses.

#define ARROW_MAGIC "ARROW1" // of a file, at both ends
#define ARROW_CONTINUATION 0xffffffffu
#define ARROW_VERSION_V5 4

#define ARROW_HEADER_SCHEMA 1
#define ARROW_HEADER_RECORD_BATCH 3

#define ARROW_TYPE_INT 2
#define ARROW_TYPE_BINARY 4
#define ARROW_TYPE_TIMESTAMP 10
#define ARROW_TYPE_FIXED_SIZE_BINARY 15

#define ARROW_UNIT_NANOSECOND 3

#define ARROW_CODEC_LZ4_FRAME 0
#define ARROW_COMPRESSION_BUFFER 0
