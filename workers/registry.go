package workers

import (
	"fmt"
	"time"

	"countersign/internal/apps"
	"countersign/internal/outbox"
)

const (
	defaultQueue    = "default"
	doorbellQueue   = "doorbells" // asked more often, so that a backlog of slow tasks does not hold settlement up
	defaultTimeout  = time.Minute
	defaultAttempts = 12
)

// registry is the work that the apps declare, checked and by name.
type registry struct {
	tasks     map[string]apps.Task
	names     []string // of the tasks
	followers map[string][]string
	doorbells map[string]apps.Doorbell
	bells     []apps.Doorbell
	queues    map[string]int // name → weight
}

func newRegistry(list []apps.App) (*registry, error) {
	r := &registry{tasks: map[string]apps.Task{}, followers: map[string][]string{}, doorbells: map[string]apps.Doorbell{},
		queues: map[string]int{defaultQueue: 3}}
	for _, app := range list {
		for _, t := range app.Tasks {
			if err := r.addTask(t); err != nil {
				return nil, fmt.Errorf("app %s: task %s: %w", app.Name, t.Name, err)
			}
		}
		for _, d := range app.Doorbells {
			if err := r.addDoorbell(d); err != nil {
				return nil, fmt.Errorf("app %s: doorbell %s: %w", app.Name, d.Name, err)
			}
		}
	}
	for _, name := range r.names {
		if err := r.checkChain(name); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *registry) addTask(t apps.Task) error {
	if err := r.checkName(t.Name, t.Run == nil); err != nil {
		return err
	}
	clocks := 0
	for _, set := range []bool{t.Every != 0, t.DailyAt != "", t.After != ""} {
		if set {
			clocks++
		}
	}
	if clocks > 1 {
		return fmt.Errorf("at most one of Every, DailyAt and After says when it runs")
	}
	if t.Every != 0 && t.Every < time.Second {
		return fmt.Errorf("it runs every second at most")
	}
	if t.DailyAt != "" {
		if _, err := time.Parse("15:04", t.DailyAt); err != nil {
			return fmt.Errorf("DailyAt is a time such as 02:30: %w", err)
		}
	}
	if t.Queue == "" {
		t.Queue = defaultQueue
	}
	if t.Timeout == 0 {
		t.Timeout = defaultTimeout
	}
	if t.MaxAttempts == 0 {
		t.MaxAttempts = defaultAttempts
	}
	r.addQueue(t.Queue, 1)
	r.tasks[t.Name] = t
	r.names = append(r.names, t.Name)
	if t.After != "" {
		r.followers[t.After] = append(r.followers[t.After], t.Name)
	}
	return nil
}

func (r *registry) addDoorbell(d apps.Doorbell) error {
	if err := r.checkName(d.Name, d.Run == nil || d.Waiting == nil); err != nil {
		return err
	}
	if d.Queue == "" {
		d.Queue = doorbellQueue
	}
	if d.Timeout == 0 {
		d.Timeout = defaultTimeout
	}
	r.addQueue(d.Queue, 6)
	r.doorbells[d.Name] = d
	r.bells = append(r.bells, d)
	return nil
}

func (r *registry) checkName(name string, incomplete bool) error {
	if name == "" || name == outbox.Rows {
		return fmt.Errorf("it has no name of its own")
	}
	if incomplete {
		return fmt.Errorf("it does not say what to do")
	}
	if _, taken := r.tasks[name]; taken {
		return fmt.Errorf("a task has this name")
	}
	if _, taken := r.doorbells[name]; taken {
		return fmt.Errorf("a doorbell has this name")
	}
	return nil
}

func (r *registry) addQueue(name string, weight int) {
	r.queues[name] = max(r.queues[name], weight)
}

// checkChain follows After to a task with a clock.
func (r *registry) checkChain(name string) error {
	t := r.tasks[name]
	for range r.names {
		if t.After == "" {
			break
		}
		before, ok := r.tasks[t.After]
		if !ok {
			return fmt.Errorf("task %s runs after %s, which does not exist", t.Name, t.After)
		}
		if before.After == "" && before.Every == 0 && before.DailyAt == "" {
			return fmt.Errorf("task %s runs after %s, which no clock runs", t.Name, before.Name)
		}
		t = before
	}
	if t.After != "" {
		return fmt.Errorf("task %s runs after itself", name)
	}
	return nil
}
