// SPDX-License-Identifier: BSD-3-Clause
// mesosd: a real Mesos 1.11 master or agent out of the native library of the Python package
// mesos-scheduler (an extension for Python 2.7 with the whole of libmesos in it), without Python.
//
//   mesosd master [--zk=zk://HOST:PORT/PATH --quorum=N] --work_dir=DIR …    any flag of the master
//   mesosd agent --master=zk://…|--master=HOST:PORT --work_dir=DIR …        any flag of the agent
//   mesosd local --num_slaves=N --work_dir=DIR                              both in one process
//   mesosd containerizer launch …       what launcher_dir/mesos-containerizer is a link to
//
// libmesos has no main() of master and agent, but it has local::launch(), which starts both in one
// process. It takes flags from the environment: --flag=value becomes MESOS_FLAG=value. What it
// would do for the "local" cluster only (find the master without ZooKeeper, a replicated log of
// one, executors without a sandbox) is replaced here, function by function, at run time.
#include <ctype.h>
#include <dlfcn.h>
#include <new>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

// The names of CPython 2.7 that the extension wants; none is ever called.
#define PYTHON(name) \
	void name() \
	{ \
		fprintf(stderr, "mesosd: " #name "() of Python was called\n"); \
		abort(); \
	}

extern "C" {
PYTHON(PyArg_ParseTuple)
PYTHON(PyDict_GetItemString)
PYTHON(PyErr_Format)
PYTHON(PyErr_Occurred)
PYTHON(PyErr_Print)
PYTHON(PyEval_InitThreads)
PYTHON(PyEval_RestoreThread)
PYTHON(PyEval_SaveThread)
PYTHON(PyGILState_Ensure)
PYTHON(PyGILState_Release)
PYTHON(PyImport_ImportModule)
PYTHON(PyInt_FromLong)
PYTHON(PyIter_Next)
PYTHON(PyList_GetItem)
PYTHON(PyList_New)
PYTHON(PyList_SetItem)
PYTHON(PyList_Size)
PYTHON(PyModule_AddObject)
PYTHON(PyModule_GetDict)
PYTHON(PyObject_CallMethod)
PYTHON(PyObject_GetIter)
PYTHON(PyString_AsStringAndSize)
PYTHON(PyType_Ready)
PYTHON(Py_InitModule4_64)
void *PyExc_Exception;
void *PyExc_TypeError;
long _Py_NoneStruct[16];
}

// Layouts (Itanium ABI, libstdc++ with cxx11 strings) as they are in this one library.

// stout's Option<T>: SOME is 0, NONE is 1, then the value.
template <class T> struct Option {
	int state;
	alignas(8) char value[sizeof(T)];

	Option() : state(1)
	{
		memset(value, 0, sizeof(value));
	}
	explicit Option(const T &t) : state(0)
	{
		new (value) T(t);
	}
};
typedef Option<std::string> OptionString;
typedef Option<int64_t> OptionDuration;

// Try<T *>: an Option<T *>, then an error.
struct TryPointer {
	int state;
	void *pointer;
	char error[256];
};

// How names with std::string in them, and such in a namespace, are mangled.
#define STRING "NSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
#define SLAVE "_ZN5mesos8internal5slave"
#define DETECTOR "N5mesos6master8detector"
#define CONTENDER "N5mesos6master9contender"

static const size_t PAGE = 4096;
static const size_t JUMP = 12;        // bytes of "mov rax, address; jmp rax"
static const size_t SLOTS_BEFORE = 2; // of a table of virtual functions: offset and type
static const int DETECT = 2, INITIALIZE = 2, CONTEND = 3; // places in such tables

static void *library;

static struct {
	std::string servers, path;
	int64_t timeout_ns = 10000000000LL;
	int quorum = 1;
} zookeeper;

static void *real_detector, *real_contender, *standalone_detect;

static void *symbol(const char *name)
{
	void *found = dlsym(library, name);

	if (!found) {
		fprintf(stderr, "mesosd: no symbol %s\n", name);
		exit(70);
	}
	return found;
}

template <class F> static F function(const char *name)
{
	return (F)symbol(name);
}

static void *virtual_function(void *object, int slot)
{
	return (*(void ***)object)[slot];
}

static void protect(void *begin, size_t length, int protection)
{
	uintptr_t first = (uintptr_t)begin & ~(PAGE - 1);
	uintptr_t end = ((uintptr_t)begin + length + PAGE - 1) & ~(PAGE - 1);

	if (mprotect((void *)first, end - first, protection) != 0) {
		perror("mesosd: mprotect");
		exit(70);
	}
}

static void write_code(void *at, const void *code, size_t length)
{
	protect(at, length, PROT_READ | PROT_WRITE | PROT_EXEC);
	memcpy(at, code, length);
	protect(at, length, PROT_READ | PROT_EXEC);
}

static void replace_virtual(const char *table, int slot, void *replacement)
{
	void **entry = (void **)symbol(table) + SLOTS_BEFORE + slot;

	protect(entry, sizeof(*entry), PROT_READ | PROT_WRITE);
	*entry = replacement;
	protect(entry, sizeof(*entry), PROT_READ);
}

static void replace_function(const char *name, void *replacement)
{
	unsigned char code[JUMP] = {0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0};

	memcpy(code + 2, &replacement, sizeof(replacement));
	write_code(symbol(name), code, sizeof(code));
}

// StandaloneMasterDetector::detect(): by the detector that was made from the URL.
static void *detect(void *ret, void *, void *previous)
{
	typedef void *(*detect_fn)(void *, void *, void *);
	void *real = virtual_function(real_detector, DETECT);

	if (real == (void *)detect) // HOST:PORT: it is a StandaloneMasterDetector itself
		real = standalone_detect;
	return ((detect_fn)real)(ret, real_detector, previous);
}

// StandaloneMasterContender::initialize() and contend().
static void initialize_contender(void *, void *info)
{
	typedef void (*initialize_fn)(void *, void *);

	if (real_contender)
		((initialize_fn)virtual_function(real_contender, INITIALIZE))(real_contender, info);
}

static void *contend(void *ret, void *)
{
	typedef void *(*contend_fn)(void *, void *);

	return ((contend_fn)virtual_function(real_contender, CONTEND))(ret, real_contender);
}

// The replicated log of local::launch() is one of this process alone: make it one by ZooKeeper.
#define LOG "_ZN5mesos3log3LogC1EiRK" STRING

static void make_log(
	void *self, int, const std::string *path, void *, bool auto_initialize, void *prefix)
{
	typedef void (*log_fn)(void *, int, const std::string *, const std::string *,
		const int64_t *, const std::string *, void *, bool, void *);
	static Option<char[64]> no_authentication;
	std::string znode = zookeeper.path + "/log_replicas";

	function<log_fn>(LOG "S9_RK8DurationS9_RK6OptionIN9zookeeper14AuthenticationEEbRKSD_IS7_E")(
		self, zookeeper.quorum, path, &zookeeper.servers, &zookeeper.timeout_ns, &znode,
		&no_authentication, auto_initialize, prefix);
}

// local::launch() calls Containerizer::create(flags, local, …) with local = true, which leaves the
// executors on the agent's own stdout and stderr; a real agent says false, for files in the
// sandbox. The function's own first bytes are put back for the call.
#define CREATE \
	SLAVE "13Containerizer6createERKNS1_5FlagsEbPNS1_7FetcherEPNS1_16GarbageCollectorEPNS_" \
	      "14SecretResolverEPNS1_16VolumeGidManagerEPNS0_20PendingFutureTrackerEPNS1_" \
	      "9CSIServerE"
static unsigned char create_code[JUMP];

static void *create_containerizer(void *ret, void *flags, bool, void *fetcher, void *collector,
	void *resolver, void *volumes, void *futures, void *csi)
{
	typedef void *(*create_fn)(
		void *, void *, bool, void *, void *, void *, void *, void *, void *);
	void *create = symbol(CREATE), *made;

	write_code(create, create_code, sizeof(create_code));
	made = ((create_fn)create)(
		ret, flags, false, fetcher, collector, resolver, volumes, futures, csi);
	replace_function(CREATE, (void *)create_containerizer);
	return made;
}

// MasterDetector::create() or MasterContender::create(), of a URL.
static void *make_from_url(const char *create, const std::string &url)
{
	typedef TryPointer *(*create_fn)(
		TryPointer *, const OptionString *, const OptionString *, const OptionDuration *);
	TryPointer made;
	OptionString wanted(url), none;
	OptionDuration timeout(zookeeper.timeout_ns);

	memset(&made, 0, sizeof(made));
	function<create_fn>(create)(&made, &wanted, &none, &timeout);
	if (made.state != 0) {
		fprintf(stderr, "mesosd: cannot use '%s'\n", url.c_str());
		exit(1);
	}
	return made.pointer;
}

#define MAKE_DETECTOR \
	"_Z" DETECTOR "14MasterDetector6createERK6OptionI" STRING "ESC_RKS3_I8DurationE"
#define MAKE_CONTENDER \
	"_Z" CONTENDER "15MasterContender6createERK6OptionI" STRING "ESC_RKS3_I8DurationE"
#define DETECTOR_TABLE "_ZTV" DETECTOR "24StandaloneMasterDetectorE"
#define CONTENDER_TABLE "_ZTV" CONTENDER "25StandaloneMasterContenderE"

static void master_by_zookeeper(const std::string &url)
{
	size_t slash = url.find('/', strlen("zk://"));

	if (slash == std::string::npos) {
		fprintf(stderr, "mesosd: '%s' is not zk://HOST:PORT,…/PATH\n", url.c_str());
		exit(64);
	}
	zookeeper.servers = url.substr(strlen("zk://"), slash - strlen("zk://"));
	zookeeper.path = url.substr(slash);
	real_detector = make_from_url(MAKE_DETECTOR, url);
	real_contender = make_from_url(MAKE_CONTENDER, url);
	replace_virtual(DETECTOR_TABLE, DETECT, (void *)detect);
	replace_virtual(CONTENDER_TABLE, INITIALIZE, (void *)initialize_contender);
	replace_virtual(CONTENDER_TABLE, CONTEND, (void *)contend);
	replace_function(LOG "RKSt3setIN7process4UPIDESt4lessISC_ESaISC_EEbRK6OptionIS7_E",
		(void *)make_log);
}

static void agent_of_master(const std::string &url)
{
	real_detector = make_from_url(MAKE_DETECTOR, url);
	standalone_detect = ((void **)symbol(DETECTOR_TABLE))[SLOTS_BEFORE + DETECT];
	replace_virtual(DETECTOR_TABLE, DETECT, (void *)detect);
}

// logging::initialize(name, false, None())
static void start_logging(const std::string &name)
{
	typedef void (*initialize_fn)(const std::string *, bool, void *);
	Option<char[4096]> no_flags;

	function<initialize_fn>("_ZN5mesos8internal7logging10initializeERK" STRING
				"bRK6OptionINS1_5FlagsEE")(&name, false, &no_flags);
}

// process::initialize(delegate, realms), then /version.
static void start_libprocess(bool agent)
{
	typedef bool (*initialize_fn)(void *, void *, void *);
	typedef void (*version_fn)(void *);
	typedef void *(*spawn_fn)(void *, void *, bool);
	std::string realm = agent ? "mesos-agent" : "mesos-master";
	OptionString delegate(std::string(agent ? "slave(1)" : "master"));
	OptionString readwrite(realm + "-readwrite"), readonly(realm + "-readonly");
	char pid[256];
	char *version = (char *)calloc(1, 4096);
	ptrdiff_t base;

	function<initialize_fn>("_ZN7process10initializeERK6OptionI" STRING "ES9_S9_")(
		&delegate, &readwrite, &readonly);
	function<version_fn>("_ZN5mesos8internal14VersionProcessC1Ev")(version);
	base = (*(ptrdiff_t **)version)[-3]; // of the virtual base ProcessBase
	function<spawn_fn>("_ZN7process5spawnEPNS_11ProcessBaseEb")(pid, version + base, true);
}

// What Subcommand::dispatch("MESOS_CONTAINERIZER_", …) does, for "launch" alone. The object is a
// table of virtual functions, the name, FlagsBase, the flags; getFlags() gives the FlagsBase in
// them.
#define LAUNCH SLAVE "24MesosContainerizerLaunch"

static int containerizer(int argc, char **argv)
{
	typedef void (*flags_fn)(void *);
	typedef void *(*get_flags_fn)(void *);
	typedef void *(*load_fn)(void *, void *, void *, int, char **, bool, bool);
	typedef int (*execute_fn)(void *);
	flags_fn make_flags = function<flags_fn>(LAUNCH "5FlagsC1Ev");
	OptionString prefix(std::string("MESOS_CONTAINERIZER_"));
	char *other = (char *)calloc(1, 65536), *self = (char *)calloc(1, 65536);
	char loaded[4096] = {0};
	char *base;

	if (argc < 2 || strcmp(argv[1], "launch") != 0) {
		fprintf(stderr, "mesosd: the containerizer only does 'launch' here\n");
		return 64;
	}
	make_flags(other);
	base = (char *)function<get_flags_fn>(LAUNCH "8getFlagsEv")(self);
	*(void ***)self = (void **)symbol("_ZTVN5mesos8internal5slave24MesosContainerizerLaunchE") +
			  SLOTS_BEFORE;
	new (self + 8) std::string("launch");
	make_flags(base - (*(ptrdiff_t **)other)[-3]);
	function<load_fn>("_ZN5flags9FlagsBase4loadERK6OptionI" STRING "EiPKPKcbb")(
		loaded, base, &prefix, argc - 1, argv + 1, false, false);
	if (*(int *)loaded != 0) {
		fprintf(stderr, "mesosd: the containerizer's flags are wrong\n");
		return 1;
	}
	return function<execute_fn>(LAUNCH "7executeEv")(self);
}

static void set_flag(const char *argument)
{
	std::string name = argument + 2, value = "true";
	size_t equals = name.find('=');

	if (equals != std::string::npos) {
		value = name.substr(equals + 1);
		name.resize(equals);
	} else if (name.compare(0, 3, "no-") == 0) {
		name.erase(0, 3);
		value = "false";
	}
	for (char &c : name)
		c = c == '-' ? '_' : toupper(c);
	setenv(("MESOS_" + name).c_str(), value.c_str(), 1);
}

// A flag that local::launch() does not know.
static std::string take_flag(const char *name, const char *otherwise)
{
	const char *value = getenv(name);
	std::string taken = value ? value : otherwise;

	unsetenv(name);
	return taken;
}

static void pass_on(const char *flag, const char *otherwise, const char *variable)
{
	std::string value = take_flag(flag, otherwise);

	if (!value.empty())
		setenv(variable, value.c_str(), 1);
}

// A duration as flags have it: 2secs, 500ms, 1mins.
static int64_t duration_ns(const char *text)
{
	char *unit;
	double value = strtod(text, &unit);

	return value * (strcmp(unit, "ms") == 0 ? 1e6 : strcmp(unit, "mins") == 0 ? 60e9 : 1e9);
}

static void take_zookeeper_flags()
{
	const char *timeout = getenv("MESOS_ZK_SESSION_TIMEOUT");

	zookeeper.quorum = strtol(take_flag("MESOS_QUORUM", "1").c_str(), NULL, 10);
	if (timeout)
		zookeeper.timeout_ns = duration_ns(timeout);
}

// local::launch(flags, NULL); of the flags it is told the directory and the number of agents.
static void launch(const std::string &directory, int agents)
{
	typedef void (*flags_fn)(void *);
	typedef void *(*launch_fn)(void *, void *, void *);
	char *flags = (char *)calloc(1, 65536);
	char pid[512];

	memcpy(create_code, symbol(CREATE), sizeof(create_code));
	replace_function(CREATE, (void *)create_containerizer);
	function<flags_fn>("_ZN5mesos8internal5local5FlagsC1Ev")(flags);
	*(std::string *)(flags + 8) = directory;
	*(int *)(flags + 40) = agents;
	function<launch_fn>(
		"_ZN5mesos8internal5local6launchERKNS1_5FlagsEPNS_9allocator9AllocatorE")(
		pid, flags, NULL);
}

static int run(const std::string &mode, int argc, char **argv)
{
	bool agent = mode == "agent";
	std::string zk, master, directory;
	int agents;

	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) != 0) {
			fprintf(stderr, "mesosd: '%s' is no flag\n", argv[i]);
			return 64;
		}
		set_flag(argv[i]);
	}
	pass_on("MESOS_IP", "", "LIBPROCESS_IP");
	pass_on("MESOS_PORT", agent ? "5051" : "5050", "LIBPROCESS_PORT");
	pass_on("MESOS_ADVERTISE_IP", "", "LIBPROCESS_ADVERTISE_IP");
	pass_on("MESOS_ADVERTISE_PORT", "", "LIBPROCESS_ADVERTISE_PORT");
	take_zookeeper_flags();
	zk = take_flag("MESOS_ZK", "");
	master = take_flag("MESOS_MASTER", "");
	directory = take_flag("MESOS_WORK_DIR", "/tmp/mesosd");
	agents = mode == "local" ? strtol(take_flag("MESOS_NUM_SLAVES", "1").c_str(), NULL, 10)
				 : agent;
	if (agent && master.empty()) {
		fprintf(stderr, "mesosd: an agent needs --master\n");
		return 64;
	}
	if (agent)
		setenv("MESOS_REGISTRY", "in_memory", 1);
	start_logging("mesos-" + mode);
	start_libprocess(agent);
	if (agent)
		agent_of_master(master);
	else if (mode == "master" && !zk.empty())
		master_by_zookeeper(zk);
	launch(directory, agents);
	for (;;)
		pause();
}

// By the name of the link, or by the first word.
static std::string mode_of(int &argc, char **&argv)
{
	std::string self = argv[0];

	argc--, argv++;
	self = self.substr(self.rfind('/') + 1);
	if (self.compare(0, strlen("mesos-"), "mesos-") == 0)
		return self.substr(strlen("mesos-"));
	if (argc == 0)
		return "";
	argc--;
	return *argv++;
}

int main(int argc, char **argv)
{
	std::string mode = mode_of(argc, argv);

	library = dlopen("libmesos_real.so", RTLD_LAZY | RTLD_GLOBAL);
	if (!library) {
		fprintf(stderr, "mesosd: %s\n", dlerror());
		return 70;
	}
	if (mode == "containerizer")
		return containerizer(argc + 1, argv - 1);
	if (mode == "master" || mode == "agent" || mode == "local")
		return run(mode, argc, argv);
	fprintf(stderr, "usage: mesosd master|agent|local --flag=value…\n");
	return 64;
}
