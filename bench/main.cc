/* SPDX-License-Identifier: BSD-3-Clause */
/* bench/main.cc: registers every benchmark and runs those asked for. tools/dev/bench-ratios runs this
 * program, and says how fast that is compared to the baselines. */
#include "support.h"

#include <cstdio>
#include <cstdlib>
#include <exception>

#include <unistd.h>

/* libpmem reads this when it is loaded, so it must be set before the program starts; the pmem class then
 * runs on the memory file system without such hardware. */
static void with_pmem_forced(char **argv)
{
    if (std::getenv("PMEM_IS_PMEM_FORCE") != nullptr)
        return;
    setenv("PMEM_IS_PMEM_FORCE", "1", 1);
    execv("/proc/self/exe", argv);
    std::perror("bench: cannot start anew with PMEM_IS_PMEM_FORCE");
    std::exit(1);
}

#if defined(__clang__)
static const char compiler[] = __VERSION__;
#else
static const char compiler[] = "gcc " __VERSION__;
#endif

int main(int argc, char **argv)
{
    with_pmem_forced(argv);
    try {
        bench::add_append();
        bench::add_durable();
        bench::add_scan();
        bench::add_open();
        benchmark::Initialize(&argc, argv);
        if (benchmark::ReportUnrecognizedArguments(argc, argv))
            return 2;
        benchmark::AddCustomContext("stele", stele_version());
        benchmark::AddCustomContext("compiler", compiler);
        benchmark::AddCustomContext("disk", bench::root_of(bench::Place::disk));
        benchmark::AddCustomContext("memory", bench::root_of(bench::Place::memory));
        const size_t ran = benchmark::RunSpecifiedBenchmarks();
        benchmark::ClearRegisteredBenchmarks(); /* with them go the logs they kept */
        return ran > 0 ? 0 : 1;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "bench: %s\n", error.what());
        benchmark::ClearRegisteredBenchmarks();
        return 1;
    }
}
