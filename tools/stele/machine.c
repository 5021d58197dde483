/* SPDX-License-Identifier: BSD-3-Clause */
/* machine.c: see machine.h. */
#include "machine.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

static void keep(char *into, size_t room, const char *text)
{
    (void)snprintf(into, room, "%s", text);
}

static void describe_cpu(struct machine *machine)
{
    char line[512];
    keep(machine->cpu, sizeof machine->cpu, "unknown");
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        line[strcspn(line, "\n")] = '\0';
        keep(machine->cpu, sizeof machine->cpu, colon + 1 + strspn(colon + 1, " "));
        break;
    }
    if (file)
        (void)fclose(file);
}

/* /proc/self/mountinfo: id parent MAJOR:MINOR root point OPTIONS [fields] - TYPE SOURCE super-options */
static void describe_mount(struct machine *machine, dev_t device)
{
    char line[2048], wanted[64];
    FILE *file = fopen("/proc/self/mountinfo", "re");
    (void)snprintf(wanted, sizeof wanted, "%u:%u", major(device), minor(device));
    while (file && fgets(line, sizeof line, file)) {
        char number[64], options[256], type[64], source[256];
        const char *tail = strstr(line, " - ");
        if (!tail || sscanf(line, "%*s %*s %63s %*s %*s %255s", number, options) != 2 ||
            sscanf(tail, " - %63s %255s", type, source) != 2 || strcmp(number, wanted) != 0)
            continue;
        keep(machine->file_system, sizeof machine->file_system, type);
        keep(machine->source, sizeof machine->source, source);
        keep(machine->mount_options, sizeof machine->mount_options, options);
    }
    if (file)
        (void)fclose(file);
}

void machine_describe(struct machine *machine, const char *directory)
{
    struct utsname name;
    struct stat stat_of;
    memset(machine, 0, sizeof *machine);
    describe_cpu(machine);
    keep(machine->kernel, sizeof machine->kernel, "unknown");
    if (uname(&name) == 0)
        (void)snprintf(machine->kernel, sizeof machine->kernel, "%s %s %s", name.sysname, name.release,
                       name.machine);
    keep(machine->file_system, sizeof machine->file_system, "unknown");
    keep(machine->source, sizeof machine->source, "unknown");
    keep(machine->mount_options, sizeof machine->mount_options, "unknown");
    if (stat(directory, &stat_of) == 0)
        describe_mount(machine, stat_of.st_dev);
    long cpus = sysconf(_SC_NPROCESSORS_ONLN), pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    machine->cpus = cpus > 0 ? (uint64_t)cpus : 0;
    machine->memory_bytes = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
}
