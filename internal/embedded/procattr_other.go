//go:build !linux

package embedded

import "syscall"

// attributes make a child in a process group of its own. Systems other than
// Linux have neither user namespaces nor a signal at the parent's death: the
// server goes on after a kill -9 and is refused as in use by the next start.
func (a account) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if a.switched {
		attr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return attr
}
