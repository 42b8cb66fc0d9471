// SPDX-License-Identifier: Apache-2.0
//
// Runs a program with its output thrown away, and prints its status, the nanoseconds that it took, its microseconds of CPU
// time, the most kilobytes of memory that it had, and its page faults. A small program must start it: the kernel counts the
// starter's own memory as the started one's.

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

int main(int count, char **arguments) {
    if (count < 2) {
        return 64;
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);

    struct timespec start, end;
    struct rusage usage;
    pid_t process;
    int status;
    clock_gettime(CLOCK_MONOTONIC, &start);
    if (posix_spawn(&process, arguments[1], &actions, NULL, arguments + 1, environ) != 0) {
        return 1;
    }
    if (wait4(process, &status, 0, &usage) != process) {
        return 1;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);

    long long elapsed = (end.tv_sec - start.tv_sec) * 1000000000LL + (end.tv_nsec - start.tv_nsec);
    long long cpu = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
    printf("%d %lld %lld %ld %ld\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), elapsed, cpu,
           usage.ru_maxrss, usage.ru_minflt + usage.ru_majflt);
    return 0;
}
