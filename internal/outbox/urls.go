package outbox

import (
	"net/http"

	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/web"
)

func (v *views) urls() []web.Route {
	return []web.Route{
		{Method: http.MethodGet, Path: "/billing/jobs/", Staff: true, Permission: auth.BillingView, Handler: v.listJobs,
			Tag: "Jobs", Summary: "Background jobs, the newest first", Response: JobResponse{}, List: &jobsSpec},
		{Method: http.MethodGet, Path: "/billing/jobs/tasks/", Staff: true, Permission: auth.BillingView, Handler: v.listTasks,
			Tag: "Jobs", Summary: "The tasks there are, when they run and how they are doing", Response: TasksResponse{}},
		{Method: http.MethodPost, Path: "/billing/jobs/tasks/{name}/run/", Staff: true, Permission: auth.BillingJobsManage, Handler: v.run,
			Tag: "Jobs", Summary: "Run a periodic task now", Response: RunResponse{}, Status: http.StatusAccepted, Errors: []*errs.Error{ErrTaskNeedsEvent}},
		{Method: http.MethodPost, Path: "/billing/jobs/{id}/restart/", Staff: true, Permission: auth.BillingJobsManage, Handler: v.restart,
			Tag: "Jobs", Summary: "Try a dead job again", Response: JobResponse{}, Errors: []*errs.Error{ErrJobNotDead}},
		{Method: http.MethodGet, Path: "/billing/events/", Staff: true, Permission: auth.BillingView, Handler: v.listEvents,
			Tag: "Events", Summary: "What happened, the newest first", Response: EventResponse{}, List: &eventsSpec},
	}
}
