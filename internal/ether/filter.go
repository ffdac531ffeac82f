package ether

import "golang.org/x/net/bpf"

// filter is the socket's program: it lets PPPoE pass, untagged or behind one or
// two VLAN tags, and nothing else, so that the rest of the interface's traffic
// never costs a wake-up. Where the kernel has moved the outer tag into the
// packet's metadata, which it does before any filter runs, the program sees the
// frame without it; the fixed offsets fit both.
//
// With dropOutgoing it also refuses what this machine sends, for kernels older
// than 4.20, which lack PACKET_IGNORE_OUTGOING.
func filter(dropOutgoing bool) ([]bpf.RawInstruction, error) {
	const packetOutgoing = 4 // PACKET_OUTGOING of linux/if_packet.h
	var prog []bpf.Instruction
	if dropOutgoing {
		prog = append(prog,
			bpf.LoadExtension{Num: bpf.ExtType},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: packetOutgoing, SkipTrue: 1},
			bpf.RetConstant{Val: 0},
		)
	}
	for tags := uint32(0); ; tags++ {
		prog = append(prog,
			// A frame that ends before this offset is refused by the load itself.
			bpf.LoadAbsolute{Off: 12 + tags*VLANTagLen, Size: 2},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(TypeSession), SkipTrue: 1},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(TypeDiscovery), SkipTrue: 1},
			bpf.RetConstant{Val: 1 << 18}, // the whole frame
		)
		if tags == MaxTags {
			break
		}
		prog = append(prog,
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(TypeVLAN), SkipTrue: 3},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(TypeQinQ), SkipTrue: 2},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(TypeQinQOld), SkipTrue: 1},
			bpf.RetConstant{Val: 0},
		)
	}
	return bpf.Assemble(append(prog, bpf.RetConstant{Val: 0}))
}
