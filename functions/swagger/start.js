// Relative addresses only: a proxy may have put something before our paths.
let token = "";

// With a token the description has more in it: an operation for each document that declares inputs.
const describedAnew = () => ({
  statePlugins: {
    auth: {
      wrapActions: {
        authorize: (original, system) => (payload) => {
          original(payload);
          read(system, payload.token?.value ?? "");
        },
        logout: (original, system) => (payload) => {
          original(payload);
          read(system, "");
        },
      },
    },
  },
});

function read(system, given) {
  token = given;
  system.specActions.download(system.specSelectors.url());
}

SwaggerUIBundle({
  url: "../openapi.json",
  dom_id: "#swagger-ui",
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  displayOperationId: true,
  docExpansion: "list",
  persistAuthorization: false,
  plugins: [describedAnew],
  queryConfigEnabled: false,
  requestInterceptor: (request) => {
    if (request.loadSpec && token) request.headers.Authorization = `Bearer ${token}`;
    return request;
  },
  tryItOutEnabled: true,
  validatorUrl: null,
});
