// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Parts of offers of a Mesos 1.11 master, as it wrote them.

// Of an agent with reservations in --resources, to a framework of that role
static const char offer_static[] =
	"["
	"{\"name\": \"cpus\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 2.0}, \"role\": "
	"\"millrace\", \"allocation_info\": {\"role\": \"millrace\"}},"
	"{\"name\": \"mem\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 1000.0}, \"role\": "
	"\"millrace\", \"allocation_info\": {\"role\": \"millrace\"}},"
	"{\"name\": \"lcores\", \"type\": \"RANGES\", \"ranges\": {\"range\": [{\"begin\": 0, "
	"\"end\": 1}]}, \"role\": \"millrace\", \"allocation_info\": {\"role\": \"millrace\"}},"
	"{\"name\": \"lcores\", \"type\": \"RANGES\", \"ranges\": {\"range\": [{\"begin\": 2, "
	"\"end\": 3}]}, \"role\": \"*\", \"allocation_info\": {\"role\": \"millrace\"}},"
	"{\"name\": \"nics\", \"type\": \"SET\", \"set\": {\"item\": [\"eth1\"]}, \"role\": "
	"\"millrace\", \"allocation_info\": {\"role\": \"millrace\"}},"
	"{\"name\": \"nics\", \"type\": \"SET\", \"set\": {\"item\": [\"eth2\"]}, \"role\": \"*\", "
	"\"allocation_info\": {\"role\": \"millrace\"}},"
	"{\"name\": \"hugepages\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 100.0}, \"role\": "
	"\"millrace\", \"allocation_info\": {\"role\": \"millrace\"}},"
	"{\"name\": \"ports\", \"type\": \"RANGES\", \"ranges\": {\"range\": [{\"begin\": 31000, "
	"\"end\": 32000}]}, \"role\": \"*\", \"allocation_info\": {\"role\": \"millrace\"}},"
	"{\"name\": \"cpus\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 2.0}, \"role\": \"*\", "
	"\"allocation_info\": {\"role\": \"millrace\"}},"
	"{\"name\": \"mem\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 1048.0}, \"role\": "
	"\"*\", \"allocation_info\": {\"role\": \"millrace\"}},"
	"{\"name\": \"disk\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 1024.0}, \"role\": "
	"\"*\", \"allocation_info\": {\"role\": \"millrace\"}},"
	"{\"name\": \"hugepages\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 412.0}, \"role\": "
	"\"*\", \"allocation_info\": {\"role\": \"millrace\"}}"
	"]";

// Of an agent with reservations made by /reserve
static const char offer_dynamic[] =
	"["
	"{\"name\": \"ports\", \"type\": \"RANGES\", \"ranges\": {\"range\": [{\"begin\": 31000, "
	"\"end\": 31100}]}, \"role\": \"*\", \"allocation_info\": {\"role\": \"millrace\"}},"
	"{\"name\": \"lcores\", \"type\": \"RANGES\", \"ranges\": {\"range\": [{\"begin\": 0, "
	"\"end\": 0}, {\"begin\": 2, \"end\": 2}]}, \"role\": \"*\", \"allocation_info\": "
	"{\"role\": \"millrace\"}},"
	"{\"name\": \"nics\", \"type\": \"SET\", \"set\": {\"item\": [\"eth1\", \"eth2\"]}, "
	"\"role\": \"*\", \"allocation_info\": {\"role\": \"millrace\"}},"
	"{\"name\": \"cpus\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 1.5}, \"role\": "
	"\"millrace\", \"allocation_info\": {\"role\": \"millrace\"}, \"reservation\": "
	"{\"labels\": {\"labels\": [{\"key\": \"k\", \"value\": \"v\"}]}}},"
	"{\"name\": \"lcores\", \"type\": \"RANGES\", \"ranges\": {\"range\": [{\"begin\": 1, "
	"\"end\": 1}, {\"begin\": 3, \"end\": 3}]}, \"role\": \"millrace\", \"allocation_info\": "
	"{\"role\": \"millrace\"}, \"reservation\": {}},"
	"{\"name\": \"disk\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 500.0}, \"role\": "
	"\"millrace\", \"allocation_info\": {\"role\": \"millrace\"}, \"reservation\": {}},"
	"{\"name\": \"cpus\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 2.5}, \"role\": \"*\", "
	"\"allocation_info\": {\"role\": \"millrace\"}},"
	"{\"name\": \"mem\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 2048.0}, \"role\": "
	"\"*\", \"allocation_info\": {\"role\": \"millrace\"}},"
	"{\"name\": \"disk\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 524.0}, \"role\": "
	"\"*\", \"allocation_info\": {\"role\": \"millrace\"}},"
	"{\"name\": \"hugepages\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 512.0}, \"role\": "
	"\"*\", \"allocation_info\": {\"role\": \"millrace\"}}"
	"]";

// The same to a framework with RESERVATION_REFINEMENT
static const char offer_refined[] =
	"["
	"{\"name\": \"ports\", \"type\": \"RANGES\", \"ranges\": {\"range\": [{\"begin\": 31000, "
	"\"end\": 31100}]}, \"allocation_info\": {\"role\": \"millrace\"}},"
	"{\"name\": \"lcores\", \"type\": \"RANGES\", \"ranges\": {\"range\": [{\"begin\": 0, "
	"\"end\": 0}, {\"begin\": 2, \"end\": 2}]}, \"allocation_info\": {\"role\": \"millrace\"}},"
	"{\"name\": \"nics\", \"type\": \"SET\", \"set\": {\"item\": [\"eth1\", \"eth2\"]}, "
	"\"allocation_info\": {\"role\": \"millrace\"}},"
	"{\"name\": \"cpus\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 1.5}, "
	"\"allocation_info\": {\"role\": \"millrace\"}, \"reservations\": [{\"type\": \"DYNAMIC\", "
	"\"role\": \"millrace\", \"labels\": {\"labels\": [{\"key\": \"k\", \"value\": \"v\"}]}}]},"
	"{\"name\": \"lcores\", \"type\": \"RANGES\", \"ranges\": {\"range\": [{\"begin\": 1, "
	"\"end\": 1}, {\"begin\": 3, \"end\": 3}]}, \"allocation_info\": {\"role\": \"millrace\"}, "
	"\"reservations\": [{\"type\": \"DYNAMIC\", \"role\": \"millrace\"}]},"
	"{\"name\": \"disk\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 500.0}, "
	"\"allocation_info\": {\"role\": \"millrace\"}, \"reservations\": [{\"type\": \"DYNAMIC\", "
	"\"role\": \"millrace\"}]},"
	"{\"name\": \"cpus\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 2.5}, "
	"\"allocation_info\": {\"role\": \"millrace\"}},"
	"{\"name\": \"mem\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 2048.0}, "
	"\"allocation_info\": {\"role\": \"millrace\"}},"
	"{\"name\": \"disk\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 524.0}, "
	"\"allocation_info\": {\"role\": \"millrace\"}},"
	"{\"name\": \"hugepages\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 512.0}, "
	"\"allocation_info\": {\"role\": \"millrace\"}}"
	"]";

// To a framework of the role "*", without MULTI_ROLE
static const char offer_plain[] =
	"["
	"{\"name\": \"ports\", \"type\": \"RANGES\", \"ranges\": {\"range\": [{\"begin\": 31000, "
	"\"end\": 31100}]}, \"role\": \"*\"},"
	"{\"name\": \"lcores\", \"type\": \"RANGES\", \"ranges\": {\"range\": [{\"begin\": 0, "
	"\"end\": 3}]}, \"role\": \"*\"},"
	"{\"name\": \"nics\", \"type\": \"SET\", \"set\": {\"item\": [\"eth1\", \"eth2\"]}, "
	"\"role\": \"*\"},"
	"{\"name\": \"cpus\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 4.0}, \"role\": \"*\"},"
	"{\"name\": \"mem\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 2048.0}, \"role\": "
	"\"*\"},"
	"{\"name\": \"disk\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 1024.0}, \"role\": "
	"\"*\"},"
	"{\"name\": \"hugepages\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 512.0}, \"role\": "
	"\"*\"}"
	"]";

// rack:r1;generation:4;speed:2.50;millrace_log:/var/lib/millrace;slots:[1-3,5-6]
static const char offer_attributes[] =
	"["
	"{\"name\": \"rack\", \"type\": \"TEXT\", \"text\": {\"value\": \"r1\"}},"
	"{\"name\": \"generation\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 4.0}},"
	"{\"name\": \"speed\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 2.5}},"
	"{\"name\": \"millrace_log\", \"type\": \"TEXT\", \"text\": {\"value\": "
	"\"/var/lib/millrace\"}},"
	"{\"name\": \"slots\", \"type\": \"RANGES\", \"ranges\": {\"range\": [{\"begin\": 1, "
	"\"end\": 3}, {\"begin\": 5, \"end\": 6}]}}"
	"]";
