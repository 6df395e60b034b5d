package web

import (
	"fmt"
	"mime/multipart"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/swaggest/jsonschema-go"
	"github.com/swaggest/openapi-go"
	"github.com/swaggest/openapi-go/openapi31"

	"countersign/internal/errs"
)

// OpenAPI writes the OpenAPI 3.1 document of the routes that are really served below prefix, as JSON.
func OpenAPI(title, version, prefix string, routes []Route) ([]byte, error) {
	r := openapi31.NewReflector()
	r.Spec.Info.WithTitle(title).WithVersion(version)
	r.SpecSchema().SetHTTPBearerTokenSecurity("bearer", "", "A token from POST /api/v1/auth/token/.")
	r.DefaultOptions = append(r.DefaultOptions, jsonschema.InterceptProp(validatorKeywords), jsonschema.InterceptSchema(ownTypes),
		jsonschema.InterceptDefName(func(t reflect.Type, name string) string { return strings.TrimPrefix(name, "Countersign") }))
	for _, route := range routes {
		if err := describe(r, prefix, route); err != nil {
			return nil, fmt.Errorf("describe %s %s: %w", route.Method, route.Path, err)
		}
	}
	return r.Spec.MarshalJSON()
}

var pathParameter = regexp.MustCompile(`\{([a-z_]+)\}`)

func describe(r *openapi31.Reflector, prefix string, route Route) error {
	op, err := r.NewOperationContext(route.Method, prefix+route.Path)
	if err != nil {
		return err
	}
	op.SetSummary(route.Summary)
	op.SetTags(route.Tag)
	op.SetID(operationID(route))
	if !route.Public {
		op.AddSecurity("bearer")
		text := "Any signed-in user."
		if route.Permission != "" {
			text = "Needs the permission `" + route.Permission + "`."
		}
		if route.Staff {
			text += " Staff only."
		}
		op.SetDescription(text)
	}
	if parameters := parameters(route); parameters != nil {
		op.AddReqStructure(parameters)
	}
	if route.Request != nil {
		op.AddReqStructure(route.Request)
	}
	if route.Files != "" {
		op.AddReqStructure(formOf(route), openapi.WithContentType("multipart/form-data"))
	}
	addAnswer(op, route)
	addErrors(op, route)
	return r.AddOperation(op)
}

func operationID(route Route) string {
	words := strings.FieldsFunc(route.Path, func(c rune) bool { return strings.ContainsRune("/{}-_", c) })
	return strings.ToLower(route.Method) + "_" + strings.Join(words, "_")
}

// parameters builds a struct with the path and query parameters of a route, because that is what the reflector reads.
func parameters(route Route) any {
	var fields []reflect.StructField
	add := func(kind, name, doc string, t reflect.Type) {
		fields = append(fields, reflect.StructField{Name: "P" + strconv.Itoa(len(fields)), Type: t,
			Tag: reflect.StructTag(fmt.Sprintf(`%s:%q description:%q`, kind, name, doc))})
	}
	for _, m := range pathParameter.FindAllStringSubmatch(route.Path, -1) {
		add("path", m[1], "Id of the object.", reflect.TypeFor[string]())
	}
	spec := route.List
	if spec != nil {
		add("query", "page", "Page, from 1.", reflect.TypeFor[*int]())
		add("query", "page_size", "Rows of a page, 1 to 100; 25 when absent.", reflect.TypeFor[*int]())
		add("query", "cursor", "Read by cursor instead of pages: empty for the first rows, then what next holds.", reflect.TypeFor[*string]())
		add("query", "ordering", "One of: "+spec.orderings()+".", reflect.TypeFor[*string]())
	} else {
		spec = route.Query
	}
	if spec != nil {
		for _, f := range spec.Filters {
			add("query", f.Name, f.Doc+".", reflect.TypeFor[*string]())
		}
	}
	if route.Method == http.MethodPost && !route.Public {
		add("header", "Idempotency-Key", "Repeat a request with the same key and body, and it has one effect and one answer.", reflect.TypeFor[*string]())
	}
	if len(fields) == 0 {
		return nil
	}
	return reflect.New(reflect.StructOf(fields)).Interface()
}

// formOf is the multipart form of a route that takes files beside its other fields.
func formOf(route Route) any {
	fields := []reflect.StructField{{Name: "Files", Type: reflect.TypeFor[[]multipart.File](), Tag: reflect.StructTag(fmt.Sprintf(`formData:%q`, route.Files))}}
	if route.Request != nil {
		t := reflect.TypeOf(route.Request)
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			if t.Field(i).Type.Kind() == reflect.String {
				fields = append(fields, reflect.StructField{Name: t.Field(i).Name, Type: reflect.TypeFor[*string](), Tag: reflect.StructTag(fmt.Sprintf(`formData:%q`, name))})
			}
		}
	}
	return reflect.New(reflect.StructOf(fields)).Interface()
}

func addAnswer(op openapi.OperationContext, route Route) {
	status := route.Status
	if status == 0 {
		status = http.StatusOK
	}
	switch {
	case route.Unwrapped != "":
		op.AddRespStructure(nil, openapi.WithHTTPStatus(status), openapi.WithContentType(route.Unwrapped))
	case route.Response == nil:
		op.AddRespStructure(nil, openapi.WithHTTPStatus(status))
	case route.List != nil:
		op.AddRespStructure(envelope(
			field("Success", reflect.TypeFor[bool](), "success", true), field("Count", reflect.TypeFor[*int](), "count", false),
			field("Next", reflect.TypeFor[*string](), "next", true), field("Previous", reflect.TypeFor[*string](), "previous", true),
			field("Results", reflect.SliceOf(reflect.TypeOf(route.Response)), "results", true), field("RequestID", reflect.TypeFor[string](), "request_id", true)),
			openapi.WithHTTPStatus(status))
	default:
		op.AddRespStructure(envelope(
			field("Success", reflect.TypeFor[bool](), "success", true), field("Data", reflect.TypeOf(route.Response), "data", true),
			field("Message", reflect.TypeFor[string](), "message", false), field("RequestID", reflect.TypeFor[string](), "request_id", true)),
			openapi.WithHTTPStatus(status))
	}
}

func field(name string, t reflect.Type, json string, required bool) reflect.StructField {
	tag := fmt.Sprintf(`json:%q`, json)
	if required {
		tag += ` required:"true"`
	} else {
		tag = fmt.Sprintf(`json:"%s,omitempty"`, json)
	}
	return reflect.StructField{Name: name, Type: t, Tag: reflect.StructTag(tag)}
}

func envelope(fields ...reflect.StructField) any { return reflect.New(reflect.StructOf(fields)).Interface() }

// addErrors lists the refusals: those that every route shares, and the route's own codes.
func addErrors(op openapi.OperationContext, route Route) {
	codes := map[int][]string{}
	add := func(e *errs.Error) { codes[Status(e.Kind)] = append(codes[Status(e.Kind)], e.Code) }
	if !route.Public {
		codes[http.StatusUnauthorized] = []string{"authentication_required", "invalid_token"}
		codes[http.StatusForbidden] = []string{"permission_denied"}
	}
	if route.Request != nil || route.List != nil || route.Query != nil {
		add(errs.ErrValidation)
	}
	if pathParameter.MatchString(route.Path) {
		add(ErrNotFound)
	}
	for _, e := range route.Errors {
		add(e)
	}
	for _, status := range slices.Sorted(keys(codes)) {
		list := codes[status]
		op.AddRespStructure(new(ErrorBody), openapi.WithHTTPStatus(status), func(cu *openapi.ContentUnit) {
			cu.Description = "Codes: " + strings.Join(list, ", ") + "."
		})
	}
}

func keys(m map[int][]string) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// ownTypes describes the request types that are not what their Go kind says.
func ownTypes(p jsonschema.InterceptSchemaParams) (bool, error) {
	switch p.Value.Type() {
	case numberType:
		p.Schema.Type = nil
		p.Schema.AnyOf = []jsonschema.SchemaOrBool{typed(jsonschema.String), typed(jsonschema.Number)}
		p.Schema.WithDescription("A decimal as text or number; it is read as text and never becomes a float.")
		return true, nil
	case freeFormType:
		p.Schema.Type = nil
		p.Schema.AddType(jsonschema.Object)
		return true, nil
	}
	return false, nil
}

func typed(t jsonschema.SimpleType) jsonschema.SchemaOrBool {
	s := jsonschema.Schema{}
	s.AddType(t)
	return s.ToSchemaOrBool()
}

// validatorKeywords turns the tags that validate requests into keywords of the schema, so that the document says what
// the code enforces.
func validatorKeywords(p jsonschema.InterceptPropParams) error {
	if !p.Processed {
		return nil
	}
	tag := p.Field.Tag.Get("validate")
	if tag == "" {
		return nil
	}
	kind := p.Field.Type
	for kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	for rule := range strings.SplitSeq(tag, ",") {
		name, value, _ := strings.Cut(rule, "=")
		if name == "dive" {
			break
		}
		apply(p, kind.Kind(), name, value)
	}
	return nil
}

func apply(p jsonschema.InterceptPropParams, kind reflect.Kind, name, value string) {
	s := p.PropertySchema
	n, _ := strconv.ParseInt(value, 10, 64)
	switch {
	case name == "required":
		p.ParentSchema.Required = append(p.ParentSchema.Required, p.Name)
	case name == "oneof":
		for word := range strings.FieldsSeq(value) {
			s.Enum = append(s.Enum, word)
		}
	case name == "email":
		s.WithFormat("email")
	case name == "uuid":
		s.WithFormat("uuid")
	case kind == reflect.String && (name == "max" || name == "len"):
		s.WithMaxLength(n)
	case kind == reflect.String && name == "min":
		s.WithMinLength(n)
	case kind == reflect.Slice && name == "max":
		s.WithMaxItems(n)
	case kind == reflect.Slice && name == "min":
		s.WithMinItems(n)
	}
}
