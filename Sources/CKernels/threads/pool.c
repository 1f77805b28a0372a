/// The thread pool. A run publishes a job under the lock; workers join it while it is open and draw task numbers from one counter.
/// A worker that wakes too late finds the job closed, so nobody ever waits for a sleeping worker.
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "../include/CKernels.h"

/// Rounds of the spin before a thread sleeps: some hundred microseconds, longer than what one thread does alone between two products of a layer.
enum { SPIN_ROUNDS = 4000 };

typedef struct {
  dso_pool *pool;
  int index;
} worker;

struct dso_pool {
  int threads;
  pthread_t *handles;
  worker *workers;
  pthread_mutex_t callers;  ///< held during a run: one caller at a time
  pthread_mutex_t lock;     ///< guards the fields of the job
  pthread_cond_t published;
  pthread_cond_t finished;
  int open;
  int stopping;
  void (*body)(void *context, int64_t task, int worker);
  void *context;
  int64_t tasks;
  _Atomic uint64_t generation;
  _Atomic int64_t next;
  _Atomic int active;
};

/// The pool whose body this thread is running, for calls from inside a body.
static _Thread_local dso_pool *running_pool;
static _Thread_local int running_worker;

static inline void pause_briefly(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static void draw_tasks(dso_pool *pool, int index) {
  dso_pool *outer_pool = running_pool;
  int outer_worker = running_worker;
  running_pool = pool;
  running_worker = index;
  int64_t tasks = pool->tasks;
  for (;;) {
    int64_t task = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
    if (task >= tasks) break;
    pool->body(pool->context, task, index);
  }
  running_pool = outer_pool;
  running_worker = outer_worker;
}

static void *work(void *argument) {
  worker *self = argument;
  dso_pool *pool = self->pool;
  uint64_t seen = 0;
  for (;;) {
    for (int i = 0; i < SPIN_ROUNDS && atomic_load_explicit(&pool->generation, memory_order_acquire) == seen; i++) pause_briefly();
    pthread_mutex_lock(&pool->lock);
    while (atomic_load_explicit(&pool->generation, memory_order_relaxed) == seen) pthread_cond_wait(&pool->published, &pool->lock);
    seen = atomic_load_explicit(&pool->generation, memory_order_relaxed);
    int stopping = pool->stopping, joined = pool->open;
    if (joined) atomic_fetch_add_explicit(&pool->active, 1, memory_order_relaxed);
    pthread_mutex_unlock(&pool->lock);
    if (stopping) return NULL;
    if (!joined) continue;
    draw_tasks(pool, self->index);
    pthread_mutex_lock(&pool->lock);
    if (atomic_fetch_sub_explicit(&pool->active, 1, memory_order_release) == 1) pthread_cond_signal(&pool->finished);
    pthread_mutex_unlock(&pool->lock);
  }
}

/// Ends the first `started` workers and frees everything.
static void dismantle(dso_pool *pool, int started) {
  pthread_mutex_lock(&pool->lock);
  pool->stopping = 1;
  atomic_fetch_add_explicit(&pool->generation, 1, memory_order_release);
  pthread_cond_broadcast(&pool->published);
  pthread_mutex_unlock(&pool->lock);
  for (int i = 0; i < started; i++) pthread_join(pool->handles[i], NULL);
  pthread_cond_destroy(&pool->finished);
  pthread_cond_destroy(&pool->published);
  pthread_mutex_destroy(&pool->lock);
  pthread_mutex_destroy(&pool->callers);
  free(pool->workers);
  free(pool->handles);
  free(pool);
}

dso_pool *dso_pool_create(int threads) {
  if (threads < 1) return NULL;
  dso_pool *pool = calloc(1, sizeof *pool);
  if (!pool) return NULL;
  pool->threads = threads;
  pool->handles = calloc((size_t)threads, sizeof *pool->handles);
  pool->workers = calloc((size_t)threads, sizeof *pool->workers);
  if (!pool->handles || !pool->workers) {
    free(pool->workers);
    free(pool->handles);
    free(pool);
    return NULL;
  }
  pthread_mutex_init(&pool->callers, NULL);
  pthread_mutex_init(&pool->lock, NULL);
  pthread_cond_init(&pool->published, NULL);
  pthread_cond_init(&pool->finished, NULL);
  for (int i = 0; i < threads - 1; i++) {
    pool->workers[i] = (worker){pool, i + 1};
    if (pthread_create(&pool->handles[i], NULL, work, &pool->workers[i]) != 0) {
      dismantle(pool, i);
      return NULL;
    }
  }
  return pool;
}

void dso_pool_destroy(dso_pool *pool) {
  if (pool) dismantle(pool, pool->threads - 1);
}

int dso_pool_threads(const dso_pool *pool) { return pool->threads; }

void dso_pool_run(dso_pool *pool, int64_t tasks, void (*body)(void *context, int64_t task, int worker), void *context) {
  if (tasks <= 0) return;
  if (running_pool == pool) {
    for (int64_t task = 0; task < tasks; task++) body(context, task, running_worker);
    return;
  }
  pthread_mutex_lock(&pool->callers);
  int shared = tasks > 1 && pool->threads > 1;
  if (shared) pthread_mutex_lock(&pool->lock);
  pool->body = body;
  pool->context = context;
  pool->tasks = tasks;
  atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
  if (shared) {
    pool->open = 1;
    atomic_fetch_add_explicit(&pool->generation, 1, memory_order_release);
    pthread_cond_broadcast(&pool->published);
    pthread_mutex_unlock(&pool->lock);
  }
  draw_tasks(pool, 0);
  if (shared) {
    pthread_mutex_lock(&pool->lock);
    pool->open = 0;
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < SPIN_ROUNDS && atomic_load_explicit(&pool->active, memory_order_acquire) != 0; i++) pause_briefly();
    pthread_mutex_lock(&pool->lock);
    while (atomic_load_explicit(&pool->active, memory_order_relaxed) != 0) pthread_cond_wait(&pool->finished, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
  }
  pthread_mutex_unlock(&pool->callers);
}

int dso_pool_is_inside(void) { return running_pool != NULL; }
