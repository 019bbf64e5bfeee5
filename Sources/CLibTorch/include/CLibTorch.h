#ifndef CLIBTORCH_H
#define CLIBTORCH_H
#ifdef __cplusplus
extern "C" {
#endif
const char *ct_version(void);
#ifdef __cplusplus
}
#endif
#endif
