package web

import (
	"encoding/json"
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

	"countersign/internal/database"
	"countersign/internal/errs"
)

// OpenAPI writes the OpenAPI 3.1 document of the routes that are really served below prefix, as JSON.
func OpenAPI(title, version, prefix string, routes []Route) ([]byte, error) {
	r := openapi31.NewReflector()
	r.Spec.Info.WithTitle(title).WithVersion(version)
	r.SpecSchema().SetHTTPBearerTokenSecurity("bearer", "", "A token from POST /api/v1/auth/token/.")
	r.DefaultOptions = append(r.DefaultOptions, jsonschema.InterceptProp(validatorKeywords), jsonschema.InterceptProp(alwaysThere(requestTypes(routes))),
		jsonschema.InterceptSchema(ownTypes), jsonschema.InterceptNullability(neverNull), func(rc *jsonschema.ReflectContext) { rc.EnvelopNullability = true },
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
		doc, t := "Repeat a request with the same key and body, and it has one effect and one answer.", reflect.TypeFor[*string]()
		field, inBody := fieldOf(route.Request, "idempotency_key")
		if inBody {
			doc += " It may stand in the field idempotency_key instead."
		}
		if route.NeedsKey || field.Tag.Get("required") == "true" {
			doc += " Nothing happens without one."
		}
		if route.NeedsKey {
			t = reflect.TypeFor[string]()
		}
		add("header", "Idempotency-Key", doc, t)
		if t.Kind() == reflect.String {
			fields[len(fields)-1].Tag += ` required:"true"`
		}
	}
	if len(fields) == 0 {
		return nil
	}
	return reflect.New(reflect.StructOf(fields)).Interface()
}

// fieldOf gives the field of a name of the body of a request.
func fieldOf(request any, name string) (field reflect.StructField, found bool) {
	if request == nil {
		return field, false
	}
	for f := range reflect.TypeOf(request).Fields() {
		if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag == name {
			return f, true
		}
	}
	return field, false
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
		for mediaType := range strings.SplitSeq(route.Unwrapped, ", ") {
			op.AddRespStructure("", openapi.WithHTTPStatus(status), openapi.WithContentType(mediaType), func(cu *openapi.ContentUnit) { cu.Format = "binary" })
		}
	case route.Response == nil:
		op.AddRespStructure(nil, openapi.WithHTTPStatus(status))
	case route.List != nil:
		op.AddRespStructure(envelope(
			field("Success", reflect.TypeFor[bool](), "success", true), field("Count", reflect.TypeFor[*int](), "count", false), exactness,
			field("Next", reflect.TypeFor[*string](), "next", true), field("Previous", reflect.TypeFor[*string](), "previous", true),
			field("Results", reflect.SliceOf(reflect.TypeOf(route.Response)), "results", true), field("RequestID", reflect.TypeFor[string](), "request_id", true)),
			openapi.WithHTTPStatus(status))
	default:
		data := reflect.TypeOf(route.Response)
		if route.MemberResponse != nil {
			data = reflect.TypeFor[any]()
		}
		body := envelope(field("Success", reflect.TypeFor[bool](), "success", true), field("Data", data, "data", true),
			field("Message", reflect.TypeFor[string](), "message", false), field("RequestID", reflect.TypeFor[string](), "request_id", true))
		if route.MemberResponse != nil {
			reflect.ValueOf(body).Elem().FieldByName("Data").Set(reflect.ValueOf(jsonschema.AnyOf(route.Response, route.MemberResponse)))
		}
		op.AddRespStructure(body, openapi.WithHTTPStatus(status))
		if route.Later {
			op.AddRespStructure(body, openapi.WithHTTPStatus(http.StatusAccepted))
		}
	}
}

// exactness describes count_is_exact of a list's envelope.
var exactness = reflect.StructField{Name: "CountIsExact", Type: reflect.TypeFor[*bool](),
	Tag: `json:"count_is_exact,omitempty" description:"False where more rows match than count says: counting stops at 10000. Absent where count is exact."`}

func field(name string, t reflect.Type, tag string, always bool) reflect.StructField {
	if !always {
		tag += ",omitempty"
	}
	return reflect.StructField{Name: name, Type: t, Tag: reflect.StructTag(fmt.Sprintf(`json:%q`, tag))}
}

func envelope(fields ...reflect.StructField) any {
	return reflect.New(reflect.StructOf(fields)).Interface()
}

// addErrors lists the refusals: those that every route shares, and the route's own codes.
func addErrors(op openapi.OperationContext, route Route) {
	codes := map[int][]string{}
	add := func(e *errs.Error) { codes[Status(e.Kind)] = append(codes[Status(e.Kind)], e.Code) }
	if !route.Public {
		codes[http.StatusUnauthorized] = []string{"authentication_required", "invalid_token"}
		codes[http.StatusForbidden] = []string{"permission_denied", "user_inactive"}
	}
	add(errs.ErrValidation) // every call refuses a parameter that is given twice
	add(ErrCardData)        // and card data in a parameter
	if route.Request != nil || route.ignoresBody() {
		add(ErrMalformed)
		add(ErrNotJSON)
		add(ErrBodyTooLarge)
	}
	if route.Staff {
		add(ErrStaffOnly)
	}
	if pathParameter.MatchString(route.Path) {
		add(ErrNotFound)
	}
	for _, e := range route.Errors {
		add(e)
	}
	for _, e := range []*errs.Error{ErrInternal, ErrTimeout, database.ErrUnavailable, database.ErrBusy} {
		add(e)
	}
	for _, status := range slices.Sorted(keys(codes)) {
		list := slices.Compact(slices.Sorted(slices.Values(codes[status])))
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

// requestTypes are the structs that bodies are decoded into, with those inside them.
func requestTypes(routes []Route) map[reflect.Type]bool {
	found := map[reflect.Type]bool{}
	var visit func(t reflect.Type)
	visit = func(t reflect.Type) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct || found[t] {
			return
		}
		found[t] = true
		for f := range t.Fields() {
			visit(f.Type)
		}
	}
	for _, route := range routes {
		if route.Request != nil {
			visit(reflect.TypeOf(route.Request))
		}
	}
	return found
}

// alwaysThere makes required what an answer always holds: every field without omitempty. What a request must hold is
// said by its validator tags.
func alwaysThere(requests map[reflect.Type]bool) jsonschema.InterceptPropFunc {
	return func(p jsonschema.InterceptPropParams) error {
		tag, ok := p.Field.Tag.Lookup("json")
		if !p.Processed || !ok || strings.Contains(tag, ",omitempty") {
			return nil
		}
		parent := p.ParentSchema.ReflectType
		for parent.Kind() == reflect.Pointer {
			parent = parent.Elem()
		}
		if !requests[parent] && !slices.Contains(p.ParentSchema.Required, p.Name) {
			p.ParentSchema.Required = append(p.ParentSchema.Required, p.Name)
		}
		return nil
	}
}

// neverNull takes null from lists and plain maps: an answer shows an empty one as [] or {}, and a request that sends
// null sends nothing. What may be null and is described elsewhere is null or that.
func neverNull(p jsonschema.InterceptNullabilityParams) {
	if p.NullAdded && (p.Type.Kind() == reflect.Slice || p.Type.Kind() == reflect.Map) && p.Type != rawType {
		p.Schema.RemoveType(jsonschema.Null)
	}
	if len(p.Schema.AnyOf) > 0 {
		p.Schema.Type = nil // said by the alternatives, of which one is null
	}
}

var rawType = reflect.TypeFor[json.RawMessage]()

// ownTypes describes the types that are not what their Go kind says.
func ownTypes(p jsonschema.InterceptSchemaParams) (bool, error) {
	t := p.Value.Type()
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t {
	case numberType:
		p.Schema.Type = nil
		p.Schema.AnyOf = []jsonschema.SchemaOrBool{typed(jsonschema.String), typed(jsonschema.Number)}
		p.Schema.WithDescription("A decimal as text or number; it is read as text and never becomes a float.")
		return true, nil
	case anythingType:
		p.Schema.Type = nil
		return true, nil
	case freeFormType:
		p.Schema.Type = nil
		p.Schema.AddType(jsonschema.Object)
		return true, nil
	case rawType: // objects that were stored as JSON
		p.Schema.Type = nil
		p.Schema.AddType(jsonschema.Object)
		p.Schema.AddType(jsonschema.Null)
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
