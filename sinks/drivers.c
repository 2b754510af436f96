// SPDX-License-Identifier: BSD-3-Clause
#include "sinks/sink.h"

const struct sink_driver *sink_driver_of(enum config_sink_kind kind)
{
	static const struct sink_driver *const drivers[] = {
		[SINK_KAFKA] = &sink_kafka,
		[SINK_FILES] = &sink_files,
	};

	return drivers[kind];
}
