"""Metrics of the machine that does the translating, and of the agent's own cost on it."""

from natobs.catalogue.types import Kind, Label, Metric, Start

CPU_SECONDS = Metric(
    "natobs_cpu_seconds_total",
    Kind.COUNTER,
    "Time of each CPU by what it did; the modes add up to all of its time, and time of guests is part of user and nice",
    "psutil.cpu_times (/proc/stat), CPU numbers from /sys/devices/system/cpu/online",
    unit="seconds",
    labels=(
        Label("cpu", "number of the CPU", bound="the CPUs of the machine"),
        Label(
            "mode",
            "what the time was spent on; forwarding is softirq, and steal is time the hypervisor gave to others",
            domain=("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"),
        ),
    ),
)
BOOT_TIME = Metric(
    "natobs_boot_time_seconds",
    Kind.GAUGE,
    "When the machine was started, in seconds since the epoch; moves a little when its clock is set",
    "psutil.boot_time (btime of /proc/stat)",
    unit="seconds",
)
MEMORY_TOTAL = Metric(
    "natobs_memory_total_bytes",
    Kind.GAUGE,
    "Memory of the machine",
    "psutil.virtual_memory (MemTotal of /proc/meminfo)",
    unit="bytes",
)
MEMORY_AVAILABLE = Metric(
    "natobs_memory_available_bytes",
    Kind.GAUGE,
    "Memory that can still be given to programs without swapping",
    "psutil.virtual_memory (MemAvailable of /proc/meminfo)",
    unit="bytes",
)
AGENT_CPU_SECONDS = Metric(
    "natobs_agent_cpu_seconds_total",
    Kind.COUNTER,
    "Time that the agent's own process has spent on CPUs, in user and system mode",
    "CLOCK_PROCESS_CPUTIME_ID (time.process_time)",
    unit="seconds",
    start=Start.PROCESS,
)
AGENT_RESIDENT_MEMORY = Metric(
    "natobs_agent_resident_memory_bytes",
    Kind.GAUGE,
    "Memory that the agent's own process holds",
    "psutil.Process.memory_info (/proc/self/statm)",
    unit="bytes",
)
AGENT_OPEN_FDS = Metric(
    "natobs_agent_open_fds",
    Kind.GAUGE,
    "File descriptors that the agent's own process has open",
    "psutil.Process.num_fds (/proc/self/fd)",
)
