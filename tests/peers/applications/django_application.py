"""Django with Channels in one file, behind a proxy that ends TLS as Django's documents say. Run by daphne."""

from channels.auth import AuthMiddlewareStack
from channels.generic.websocket import JsonWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import JsonResponse
from django.middleware.csrf import get_token
from django.urls import path

settings.configure(
    SECRET_KEY="for this test alone",
    ALLOWED_HOSTS=["localhost"],
    ROOT_URLCONF=__name__,
    # https://docs.djangoproject.com/en/5.2/ref/settings/#secure-proxy-ssl-header
    SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"),
    SECURE_SSL_REDIRECT=True,
    SESSION_COOKIE_SECURE=True,
    CSRF_COOKIE_SECURE=True,
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.sessions",
        "channels",
    ],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)


def form(request):
    """GET gives the token, POST has to bring it back, from an origin that is this page's."""
    if request.method == "POST":
        request.session["name"] = request.POST["name"]
    return JsonResponse({"token": get_token(request), "url": request.build_absolute_uri()})


urlpatterns = [path("form/", form)]


class Room(JsonWebsocketConsumer):
    """Says who is there, by the session's cookie, then repeats."""

    def connect(self):
        self.accept()
        self.send_json({"name": self.scope["session"].get("name")})

    def receive_json(self, content):
        self.send_json(content)


application = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": AllowedHostsOriginValidator(
            AuthMiddlewareStack(URLRouter([path("room/", Room.as_asgi())]))
        ),
    }
)
