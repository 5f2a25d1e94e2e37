/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * net/xfrm_ext/window.c, small, for SPIN; run by check.sh in this folder.
 *
 * CPUS processes deliver numbers 1 .. LAST for ever, each any number at any
 * time, to a window of SIZE over a ring of WORDS words of NUMBERS numbers. Each
 * access to shared memory is a step of its own; what is between them is not. So
 * every order in which the CPUs can come is tried. SPIN's memory is sequentially
 * consistent; what weaker ones may do beyond that is in windows.rst, and BROKEN
 * 2 and 3 below do it.
 *
 * The model's own bookkeeping, not the window's: who was accepted, and the
 * highest number accepted by a call that has returned. It says what may be
 * asked of a verdict, see the assertions.
 *
 * BROKEN=1..6 builds in a mistake that must be found.
 */
#ifndef CPUS
#define CPUS	2
#endif
#ifndef BROKEN
#define BROKEN	0
#endif

#define NUMBERS	2
#define WORDS	2
#if BROKEN == 4		/* two blocks of a word in the window together */
#define SIZE	4
#else
#define SIZE	3	/* (WORDS - 1) * NUMBERS + 1 */
#endif
#ifndef TOP		/* xe_window_top() is called as well */
#define TOP	1
#endif
#ifndef LAST
#define LAST	7	/* four blocks: a word has two turns */
#endif

#define BLOCK(n)	((n) / NUMBERS)
#define SLOT(b)		((b) % WORDS)
#if BROKEN == 5		/* turns that wrap */
#define TURN(b)		((b) / WORDS % 2)
#else
#define TURN(b)		((b) / WORDS)
#endif
#define BIT(n)		(1 << (n) % NUMBERS)
#define BITS(word)	((word) % (1 << NUMBERS))
#define EMPTY(n)	(TURN(BLOCK(n)) << NUMBERS)
#define BLOCK_OF(word, slot)	(((word) >> NUMBERS) * WORDS + (slot))
/* __fls() and hweight32() of two bits */
#define TOP_BIT(bits)	((bits) >> 1)
#define WEIGHT(bits)	(((bits) & 1) + ((bits) >> 1))
#define MAX(a, b)	((a) > (b) -> (a) : (b))

/* The window */
byte ring[WORDS];
byte newest;
byte gone;

/* The bookkeeping */
bool accepted[LAST + 1];
byte highest;		/* accepted */
byte returned;		/* the highest of those whose calls have returned */
byte count;

byte busy;		/* CPUs in a call */

mtype = { fresh, replay, too_old };
mtype = { none, update, top };

/* xe_window_highest(): the first step of two; the second is HIGHEST() */
inline read_highest_word()
{
#if BROKEN == 3
	if
	:: SLOT(newest_seen) == guess -> skip
	:: else -> word = ring[SLOT(newest_seen)]
	fi
#else
	word = ring[SLOT(newest_seen)]
#endif
}

#define HIGHEST	(BLOCK_OF(word, SLOT(newest_seen)) * NUMBERS + \
		 TOP_BIT(BITS(word)))

/* xe_window_look() */
inline look()
{
	if
	:: was >= EMPTY(n) + (1 << NUMBERS) -> verdict = too_old
	:: was < EMPTY(n) + (1 << NUMBERS) && was >= EMPTY(n) &&
	   (was & BIT(n)) -> verdict = replay
	:: else -> verdict = fresh
	fi;
	judge_refusal()
}

/* What a refusal says must be true */
inline judge_refusal()
{
	assert(verdict != replay || accepted[n]);
	assert(verdict != too_old || n + SIZE <= highest)
}

/* xe_window_advance() */
inline advance()
{
	if
	:: BLOCK(n) > newest_seen ->
		seen = newest;
		do
		:: seen >= BLOCK(n) -> break
		:: else ->
			if
			:: atomic { newest == seen -> newest = BLOCK(n) };
				break
			:: atomic { newest != seen -> seen = newest }
			fi
		od
	:: else
	fi
}

/* Out of a call; nothing is left over that would make a state a new one */
inline leave()
{
	d_step {
		n = 0; newest_seen = 0; seen = 0; was = 0; word = 0; floor = 0;
		late = false;
		verdict = fresh; call = none;
		busy--
	}
}

proctype cpu()
{
	byte n, newest_seen, seen, was, word, floor, guess;
	bool late;
	mtype verdict = fresh, call = none;

again:
	atomic {
		/* When nobody is in a call, all is exact */
		assert(busy || gone + WEIGHT(BITS(ring[0])) +
			       WEIGHT(BITS(ring[1])) == count);
		assert(busy || returned == highest);
		busy++;
		select(n : 1 .. LAST);
		if
		:: call = update; late = n + SIZE <= returned
		:: TOP && n == 1 -> call = top; floor = returned
		fi
	}
#if BROKEN == 3		/* a word read before newest says which */
	if
	:: guess = 0
	:: guess = 1
	fi;
	word = ring[guess];
#endif
	newest_seen = newest;
	if
	:: call == top ->
		read_highest_word();
		atomic {
			assert(HIGHEST >= floor && HIGHEST <= highest);
			goto out
		}
	:: else
	fi;

	/* xe_window_left() */
	if
	:: n + SIZE >= (newest_seen + 1) * NUMBERS -> skip
	:: n + SIZE <= newest_seen * NUMBERS -> verdict = too_old
	:: else ->
		read_highest_word();
		if
		:: n + SIZE <= HIGHEST -> verdict = too_old
		:: else
		fi
	fi;
	if
	:: verdict == too_old ->
		atomic { judge_refusal(); goto out }
	:: else
	fi;

	was = ring[SLOT(BLOCK(n))];
#if BROKEN == 2		/* advance without release: newest before the word */
	advance();
#endif
try_again:
	atomic {
		look();
		if
		:: verdict != fresh -> goto out
		:: else
		fi
	};
	/* Compare and exchange */
	atomic {
		if
#if BROKEN != 1		/* 1: a plain write */
		:: ring[SLOT(BLOCK(n))] != was ->
			was = ring[SLOT(BLOCK(n))];
			goto try_again
#endif
		:: else
		fi;
		ring[SLOT(BLOCK(n))] = MAX(was, EMPTY(n)) | BIT(n);
		/* Accepted: for the first time, and not left of the window */
		assert(!accepted[n]);
		assert(!late);
		accepted[n] = true;
		highest = MAX(highest, n);
		count++;
		/* An addition that nobody looks at meanwhile: no step */
		if
		:: was < EMPTY(n) -> gone = gone + WEIGHT(BITS(was))
		:: else
		fi;
		was = 0;
		verdict = fresh
	};
#if BROKEN != 2 && BROKEN != 6	/* 6: newest forgotten */
	advance();
#endif
	atomic {
		returned = MAX(returned, n);
out:
		leave();
		goto again
	}
}

init {
	atomic {
		byte i;

		for (i : 1 .. CPUS) {
			run cpu()
		}
	}
}
