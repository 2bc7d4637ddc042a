/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * One state machine for each relay id. What is wished (by the configuration, the control endpoint
 * and port control) and what is seen (relay process, host, VM) meet here and nowhere else. It takes
 * the steps that lead from one to the other, one at a time; each can be repeated, and a failed one
 * is kept with its reason and the time of the next try.
 *
 * The machine itself touches nothing: what it does to the world goes through struct pairing_env,
 * which the manager implements and tests script.
 */
#ifndef VIO4WD_MANAGER_PAIRING_H
#define VIO4WD_MANAGER_PAIRING_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config.h"
#include "common/devname.h"
#include "common/err.h"
#include "manager/policy.h"

#define PAIRING_HISTORY 32  /* events kept */
#define PAIRING_OPS_MAX 64  /* operations that may wait for one relay id */
#define PAIRING_PORT_MAX 64 /* of an interface's name or alias, with the NUL at its end */
#define PAIRING_RETRY_MIN_US 1000000ull
#define PAIRING_RETRY_MAX_US 60000000ull
/* A PCI device that was taken away is looked for again after this time, when it has really gone. */
#define PAIRING_REST_US 300000ull

enum pairing_state {
	PAIRING_FREE,	      /* neither device nor VM */
	PAIRING_ABSENT,	      /* the device does not exist yet */
	PAIRING_BINDING,      /* its driver is being changed */
	PAIRING_PROVISIONING, /* its vDPA device is being made */
	PAIRING_PROBING,      /* the relay opens it */
	PAIRING_LISTENING,    /* attached, no VM */
	PAIRING_CONNECTED,    /* a VM, no device */
	PAIRING_ACTIVE,	      /* both */
	PAIRING_FAILED,
};

enum pairing_origin {
	PAIRING_ORIGIN_NONE,
	PAIRING_ORIGIN_STATIC,
	PAIRING_ORIGIN_CONTROL,
	PAIRING_ORIGIN_PORT_CONTROL,
	PAIRING_ORIGIN_AUTO, /* VIO4WD_AUTO_VFS */
	PAIRING_ORIGIN_OVSDB,
};

enum pairing_step {
	STEP_NONE,
	STEP_DETACH,
	STEP_UNPROVISION, /* the vDPA device that was made for it is removed */
	STEP_RELEASE,	  /* its own driver is given back to a device */
	STEP_ENDPOINT_REMOVE,
	STEP_ENDPOINT_ADD,
	STEP_PIN,
	STEP_BIND,	/* the device gets the driver that a relay can use */
	STEP_PROVISION, /* a vDPA device is made on it */
	STEP_ATTACH,
	STEP_MEMBERS, /* of a bond: those come in and go that can and have to */
	STEP_MODE,    /* the relay is told who serves the rings of a vDPA device */
};
#define N_STEPS (STEP_MODE + 1)

enum { VF_TO_VM, VM_TO_VF, N_DIRECTIONS };

struct pairing_wish {
	char socket[CONFIG_SOCKET_PATH_MAX + 1]; /* "": none */
	bool socket_with_device;		 /* made for the device, goes with it */
	bool has_device;
	char name[DEVNAME_MAX]; /* what the device is called: an alias or its canonical text */
	struct devname device;
	enum config_backend backend;
	bool handed_out; /* no relay serves it: its vDPA device is the VM's own to open */
	enum pairing_origin origin;
	/* The interface that OVSDB or the command file named; "": another way. Its name may be gone
	 * while the device is in use. */
	char port[PAIRING_PORT_MAX];
	int pin[N_DIRECTIONS]; /* CPU numbers, -1: the relay chooses */
};

struct relay;

struct pairing_seen {
	struct relay *relay; /* the process that serves it or will; NULL: none chosen */
	char socket[CONFIG_SOCKET_PATH_MAX + 1]; /* served by the relay; "": none */
	struct devname device;			 /* attached; text "": none */
	enum policy_backend backend;		 /* by which it is attached */
	int mode_told; /* the backend whose mode the relay was told; PAIRING_MODE_UNKNOWN */
	char device_error[160]; /* why the attached one must go; "": fine */
	unsigned int ifindex;	/* of the attached network interface */
	bool has_pci;		/* the attached device is on PCI, there: */
	struct pci_addr pci;
	int pin[N_DIRECTIONS];
	bool own; /* the wished device itself exists and may be used */
	uint64_t own_instance;
	/* Of the device that is to serve, which is the wished one or its stand-in: */
	bool present;	   /* it exists and may be used */
	uint64_t instance; /* of it: another number, another device */
	char absent[160];  /* why it is not present, when that is not all there is to say */
	bool ready;	   /* it is on the driver that the decision wants */
	bool made;	   /* there is a vDPA device for this pairing */
	bool made_here;	   /* it is on the wished device */
	bool made_right;   /* and its character device may be opened by who is to open it */
	/* Of an attached bond: */
	bool members_differ;		/* one has to be put in or taken out */
	uint64_t members_at_us;		/* one that has failed is tried again; 0: none */
	const struct err *member_error; /* of one that is there and failed; NULL: none */
	char members[300];		/* what is wrong with them, for users; "": nothing */
	bool held; /* the driver of some other device was changed for this pairing */
	bool link;
	bool vm;
};

struct pairing_event {	/* of the history */
	int64_t time_s; /* since the epoch */
	char text[160];
};

struct pairing_failure {    /* of a step */
	unsigned int times; /* in a row; 0: it has not failed */
	uint64_t retry_at_us;
	struct err error;
};

struct pairing_op;
struct pairing;

#define PAIRING_MODE_UNKNOWN (-1)

struct pairing_env {
	uint64_t (*now_us)(void *ctx); /* monotonic */
	/*
	 * Starts a step; pairing_step_done follows later, never from inside. Returns 0; -EAGAIN
	 * when it has to wait for an event that will call pairing_run (err may say which, or
	 * p->move was set: the endpoint has to go to another process first); or the error.
	 */
	int (*start)(struct pairing *p, enum pairing_step step, struct err *err);
	/* May this be added? Looks at the other pairings: a device or path is served once. */
	int (*admit)(struct pairing *p, const struct pairing_op *op, struct err *err);
	/* Finds out p->seen.own, present, members_differ and what follows it, absent, ready, made,
	 * made_here, made_right and held, and p->seen.device_error of an attached device.
	 * p->decision is for pairing_target(). */
	void (*look)(struct pairing *p);
	/* A spare that can stand in for the wished device now. NULL: there are no spares. */
	bool (*find_spare)(struct pairing *p, struct devname *spare);
	/* May this device stand in, or go on with that? */
	bool (*is_spare)(struct pairing *p, const struct devname *device);
	/* p->stand_in cannot be opened: it is not to be found again as long as it is the same. */
	void (*spare_failed)(struct pairing *p, const struct err *err);
	/* What vDPA there is for a device (failed is left to the machine). NULL: none. */
	void (*vdpa)(struct pairing *p, const struct devname *device, struct policy_vdpa *vdpa);
	/* How long lost hardware must be back before it serves again. NULL: 0. */
	uint64_t (*stable_us)(void *ctx);
	/* Calls pairing_run at that time; 0: not. */
	void (*wake_at)(struct pairing *p, uint64_t at_us);
	/* State, wish or what is seen may have changed; p->state_before is the former state. */
	void (*changed)(struct pairing *p);
	/* An operation is over: calls op->done and frees op, at once or when the wishes are saved.
	 */
	void (*finish)(struct pairing *p, struct pairing_op *op);
	void *ctx;
};

struct pairing {
	unsigned int id;
	const struct pairing_env *env;
	struct pairing_wish wish;
	struct pairing_seen seen;
	enum pairing_state state;
	struct policy_decision decision; /* for pairing_target() */
	struct devname stand_in;	 /* serves in software for the wished device; "": none */
	uint64_t own_instance;		 /* of the wished device, as it was when that began */
	uint64_t own_at_us;		 /* the wished device serves again; 0: it is not there */
	unsigned int own_failures;	 /* stand-ins for one that is there, in a row */
	bool undecided;			 /* the kernel has not told yet what it depends on */

	enum pairing_step step; /* under way */
	char step_socket[CONFIG_SOCKET_PATH_MAX + 1];
	struct devname step_device;
	unsigned int step_ifindex;
	bool step_has_pci;
	struct pci_addr step_pci;
	int step_pin[N_DIRECTIONS];
	enum policy_backend step_backend;
	enum config_backend step_mode;
	char vdpa_failed[POLICY_TEXT_MAX]; /* why 'auto' does without; "": it did not fail */
	bool vdpa_lost;			   /* while hardware served, and not attached again since */
	uint64_t stable_at_us;		   /* before that software serves, with 'auto' */
	uint64_t detach_us;		   /* when the last detach began */
	uint64_t switch_us;		   /* the pause of the last change of backend; 0: none */
	bool adopted;			   /* the attached device is an earlier manager's choice */
	bool move; /* the endpoint has to leave its process, or to be made anew */

	struct pairing_failure failed[N_STEPS];
	char waiting[160];	/* what the next step waits for */
	uint64_t rest_until_us; /* no device is opened before that */
	unsigned int crashes;	/* the relay died while it opened the device, in a row */

	struct pairing_op *ops; /* waiting operations, the first is under way */
	unsigned int n_ops;
	bool running; /* inside pairing_run */

	struct pairing_event history[PAIRING_HISTORY];
	unsigned int n_history; /* ever written */
	uint64_t random;	/* for the jitter */
};

enum pairing_op_kind { OP_ADD, OP_REMOVE, OP_PIN, OP_BACKEND, OP_ADD_SOCKET, OP_REMOVE_SOCKET };

typedef void (*pairing_done_fn)(struct pairing *p, const struct err *err, void *userdata);

struct pairing_op {
	enum pairing_op_kind kind;
	bool conditional;   /* what would change nothing succeeds */
	bool accept_absent; /* OP_ADD: a device that does not exist yet is no error */
	bool keep_failed;   /* OP_ADD: the wish stays when it fails (static pairings) */
	bool make_socket;   /* OP_ADD: when there is none, make wish.socket for the device */
	bool accept_slow;   /* OP_ADD: a device that still opens at the deadline is no error */
	bool answer_early;  /* OP_REMOVE: is over when the relay has let the device go */
	bool check_name;    /* OP_REMOVE, OP_REMOVE_SOCKET: wish.name is the device that is meant */
	struct pairing_wish wish; /* the part that the kind is about */
	uint64_t deadline_us;
	pairing_done_fn done;
	void *userdata;
	/* Of the machine: */
	struct pairing *p;
	struct pairing_wish before;
	struct err err;
	enum { OP_WAITING, OP_RUNNING, OP_UNWINDING } phase;
	struct pairing_op *next;
};

void pairing_init(struct pairing *p, unsigned int id, const struct pairing_env *env);
/* Answers waiting operations with -ESHUTDOWN; nothing may be asked of it any more. */
void pairing_fini(struct pairing *p);

/* Goes on as far as possible. Safe to call at any time, from inside the environment, too. */
void pairing_run(struct pairing *p);

/* The step under way has ended. err->code 0: done; -ECONNRESET: the relay went. */
void pairing_step_done(struct pairing *p, const struct err *err);

/* The relay process of the endpoint is gone and everything in it. */
void pairing_relay_lost(struct pairing *p, const char *why);

/* A running relay says what it has (after a restart of the manager). */
void pairing_adopt(struct pairing *p, struct relay *relay, const char *socket,
		   const struct devname *device, enum policy_backend backend, bool vm);
void pairing_vm(struct pairing *p, bool connected);
void pairing_device(struct pairing *p, bool link, const char *error);

/* Copies op. Returns 0, or -EBUSY when too many wait; done is then not called. */
int pairing_submit(struct pairing *p, const struct pairing_op *op, struct err *err);

/* The backend for a device; fills p->decision. Errors are those of policy_decide(). */
int pairing_decide(struct pairing *p, const struct pairing_wish *wish, struct err *err);
/* The same for the device that is to serve, with the backend that it is to have. */
int pairing_decide_target(struct pairing *p, struct err *err);
/* The device that is to serve: the wished one, or what stands in for it. */
const struct devname *pairing_target(const struct pairing *p);
/* What users call it. */
const char *pairing_target_name(const struct pairing *p);
/* The backend that is wished for that device: a stand-in serves in software. */
enum config_backend pairing_target_backend(const struct pairing *p);
bool pairing_has_stand_in(const struct pairing *p);
/* What the wished device has to be on for vDPA; NULL: it is not served by that. */
const char *pairing_vdpa_driver(const struct pairing *p);
/* Forgets failures, so that the next run tries at once. */
void pairing_retry_now(struct pairing *p);

/* Lost hardware is back, and software serves until it is stable. */
bool pairing_settles(const struct pairing *p);
/* Its vDPA device is in the way and cannot be removed, as somebody has it open. */
bool pairing_waits_for_removal(const struct pairing *p);
/* The wished device is handed out, and can be opened now. */
bool pairing_is_handed_out(const struct pairing *p);
/* A socket or a device is wished or there. */
bool pairing_in_use(const struct pairing *p);
/* The failure that users have to know of, or NULL. */
const struct pairing_failure *pairing_failure(const struct pairing *p);
/* Nothing is under way, and nothing will be before some event or retry. */
bool pairing_settled(const struct pairing *p);
/* A sentence on the state for users; "" when there is nothing to say. */
void pairing_reason(const struct pairing *p, char *buf, size_t size);
void pairing_note(struct pairing *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

const char *pairing_state_name(enum pairing_state state);
const char *pairing_origin_name(enum pairing_origin origin); /* NULL for none */
int pairing_origin_parse(const char *text, enum pairing_origin *origin);
const char *pairing_step_name(enum pairing_step step);

/* pairing_op.c: used by pairing_run only. Looks after the first operation; true when the wish has
 * changed. */
bool pairing_ops_advance(struct pairing *p);
uint64_t pairing_ops_deadline(const struct pairing *p); /* the earliest; 0: none */

/* The next step as wish and what is seen stand; STEP_NONE: nothing to do now. */
enum pairing_step pairing_next_step(const struct pairing *p, uint64_t now_us);

#endif
