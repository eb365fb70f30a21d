/* The loop: what waits for its next turn. */
#include "tests/unit/unit.h"

#include <sys/resource.h>

#include "common/loop.h"

#define TASKS 4

static struct rb_task tasks[TASKS];
static char order[32]; /* of the tasks that ran */

static void run_task(void *arg)
{
    size_t used = strlen(order);

    snprintf(order + used, sizeof(order) - used, "%zd", (struct rb_task *)arg - tasks);
}

static struct rb_loop *loop_with_tasks(void)
{
    struct rb_loop *loop = rb_loop_new();

    order[0] = '\0';
    for (size_t i = 0; i < TASKS; i++)
        rb_task_init(&tasks[i], loop, run_task, &tasks[i]);
    return loop;
}

static void turn(struct rb_loop *loop)
{
    uv_run(rb_loop_uv(loop), UV_RUN_NOWAIT);
}

static void tasks_run_once_each_in_their_order(void **state)
{
    struct rb_loop *loop = loop_with_tasks();

    (void)state;
    rb_task_queue(&tasks[2]);
    rb_task_queue(&tasks[0]);
    rb_task_queue(&tasks[2]);
    rb_task_queue(&tasks[1]);
    turn(loop);
    turn(loop);
    assert_string_equal(order, "201");
    rb_loop_free(loop);
}

static void a_task_may_leave_the_line_wherever_it_stands(void **state)
{
    (void)state;
    for (size_t left = 0; left < TASKS; left++) {
        struct rb_loop *loop = loop_with_tasks();
        static const char *const expected[TASKS] = {"1230", "0231", "0132", "0123"};

        for (size_t i = 0; i < TASKS; i++)
            rb_task_queue(&tasks[i]);
        rb_task_done(&tasks[left]);
        rb_task_done(&tasks[left]);
        rb_task_queue(&tasks[left]); /* behind all others */
        turn(loop);
        assert_string_equal(order, expected[left]);
        rb_loop_free(loop);
    }
}

static void the_line_is_empty_after_its_only_task_has_left(void **state)
{
    struct rb_loop *loop = loop_with_tasks();

    (void)state;
    rb_task_queue(&tasks[0]);
    rb_task_done(&tasks[0]);
    rb_task_queue(&tasks[1]);
    rb_task_queue(&tasks[3]);
    turn(loop);
    assert_string_equal(order, "13");
    rb_loop_free(loop);
}

static void leave_and_enter(void *arg)
{
    (void)arg;
    rb_task_done(&tasks[2]);
    rb_task_queue(&tasks[1]);
}

static void a_running_task_may_take_out_one_of_the_same_turn(void **state)
{
    struct rb_loop *loop = loop_with_tasks();

    (void)state;
    rb_task_init(&tasks[0], loop, leave_and_enter, NULL);
    rb_task_queue(&tasks[0]);
    rb_task_queue(&tasks[2]);
    rb_task_queue(&tasks[3]);
    turn(loop);
    assert_string_equal(order, "3"); /* what was queued meanwhile waits */
    turn(loop);
    assert_string_equal(order, "31");
    rb_loop_free(loop);
}

static void a_loop_may_open_as_many_descriptors_as_the_system_allows(void **state)
{
    struct rlimit limit;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = RB_MIN(limit.rlim_max, (rlim_t)100);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    rb_loop_free(rb_loop_new());
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(limit.rlim_cur == limit.rlim_max);
}

UNIT_MAIN(T(tasks_run_once_each_in_their_order), T(a_task_may_leave_the_line_wherever_it_stands),
          T(the_line_is_empty_after_its_only_task_has_left), T(a_running_task_may_take_out_one_of_the_same_turn),
          T(a_loop_may_open_as_many_descriptors_as_the_system_allows))
