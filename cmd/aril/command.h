/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_CMD_COMMAND_H
#define ARIL_CMD_COMMAND_H

/* The subcommands. argv[0] is the name of the command; the result is the exit code. */
int command_bench(int argc, char **argv);
int command_cache(int argc, char **argv);
int command_demo(int argc, char **argv);
int command_doctor(int argc, char **argv);
int command_identity(int argc, char **argv);
int command_identity_sign(int argc, char **argv);
int command_identity_verify(int argc, char **argv);
int command_keys(int argc, char **argv);
int command_proxy(int argc, char **argv);
#endif
