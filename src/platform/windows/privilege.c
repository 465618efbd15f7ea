/* Rights that an account may hold and a process has to switch on. MSDN AdjustTokenPrivileges,
 * "Privilege Constants". */
#include "platform/windows/win.h"

bool vr_win_privilege(const wchar_t *name)
{
    HANDLE token;
    TOKEN_PRIVILEGES wanted = {.PrivilegeCount = 1,
                               .Privileges = {{.Attributes = SE_PRIVILEGE_ENABLED}}};
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_ADJUST_PRIVILEGES | TOKEN_QUERY, &token)) {
        return false;
    }
    /* The call succeeds also when it did nothing; then the error says so. */
    bool done = LookupPrivilegeValueW(NULL, name, &wanted.Privileges[0].Luid) &&
                AdjustTokenPrivileges(token, FALSE, &wanted, 0, NULL, NULL) &&
                GetLastError() == ERROR_SUCCESS;
    CloseHandle(token);
    return done;
}
